"""The pages of users: users, roles, an operator's part, tables; whatever is asked for, by form and without script."""

import io
import re
from collections.abc import Callable

import pytest
from flask import g
from flask.testing import FlaskClient
from markupsafe import escape
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.identity.passwords import matches
from ravada_web.models import OperatorScope, Role, User, UserSession, now
from ravada_web.services.people import csv_import, groups, operator_scopes
from ravada_web.services.permissions import rights, scopes
from ravada_web.services.sign_in import sessions
from ravada_web.services.transaction import transaction
from ravada_web.web import labels
from tests.conftest import PASSWORD, People
from tests.web.asking import fragment, is_page
from tests.web.conftest import World

SignInAs = Callable[[User | str], FlaskClient]
LIMITS = {"most_clones": "", "most_running": "", "most_memory_mib": ""}
NEW = {"name": "alice", "role": "user", "password": ""} | LIMITS
CONFIRMED = {"password": PASSWORD}

# address ({user} is the user, {me} the administrator, {operator} the operator), the least role, a text that is there
VIEWS = [
    ("/users", "operator", "administrator"),
    ("/users?search=oth&role=user&standing=never", "operator", "other"),
    ("/users?search=nobody", "operator", 'data-state="no-results"'),
    ("/users/roles", "operator", 'id="roles"'),
    ("/users/{user}", "operator", 'id="limits"'),
    ("/users/new", "administrator", 'id="new-person"'),
    ("/users/upload", "administrator", "most_memory_mib"),
    ("/users/{user}/edit", "administrator", 'id="edit-person"'),
    ("/users/{operator}/part", "administrator", 'value="some"'),
    ("/users/{user}/part", "administrator", 'id="part-form"'),
    ("/users/{user}/off", "administrator", 'action="/users/{user}/off"'),
    ("/users/{user}/delete", "administrator", 'action="/users/{user}/delete"'),
    ("/users/{user}/password", "administrator", 'action="/users/{user}/password"'),
    ("/users/{user}/second-factor", "administrator", 'action="/users/{user}/second-factor"'),
]
LOWER = {"operator": ("user",), "administrator": ("user", "operator")}


def at(people: People, address: str) -> str:
    return address.format(
        user=people.user.id, other=people.other.id, operator=people.operator.id, me=people.administrator.id
    )


@pytest.mark.parametrize(("address", "least", "text"), VIEWS)
def test_a_page_a_fragment_and_refused_to_less(
    world: World, people: People, sign_in: SignInAs, address: str, least: str, text: str
) -> None:
    path, text = at(people, address), at(people, text)
    page = sign_in(least).get(path)
    assert page.status_code == 200 and is_page(page) and text in page.text
    assert page.text.count("<h1") == 1
    part = fragment(sign_in(least), path)
    assert part.status_code == 200 and not is_page(part) and text in part.text
    for role in LOWER[least]:
        assert sign_in(role).get(path).status_code == 403


@pytest.mark.parametrize(
    "address", ["/users/99", "/users/99/edit", "/users/99/part", "/users/99/off", "/users/upload/none"]
)
def test_what_does_not_exist(people: People, sign_in: SignInAs, address: str) -> None:
    assert sign_in("administrator").get(address).status_code == 404


def test_the_list_filters(world: World, people: People, sign_in: SignInAs) -> None:
    with transaction():
        people.other.active = False
    client = sign_in("operator")

    def listed(query: str) -> list[str]:
        return re.findall(r'<a class="strong" href="/users/\d+">([^<]+)</a>', client.get(f"/users?{query}").text)

    assert listed("") == ["administrator", "operator", "other", "user"]
    assert listed("standing=deactivated") == ["other"]
    assert listed("role=administrator") == ["administrator"]
    assert listed("search=TOR") == ["administrator", "operator"]
    assert listed("group_id=99") == []


def test_somebody_is_added_and_the_drawn_password_is_shown_once(people: People, sign_in: SignInAs) -> None:
    group = groups.create(people.administrator, name="class")
    client = sign_in("administrator")
    answer = client.post("/users/new", data=NEW | {"groups": [group.id], "most_clones": "2"})
    assert answer.status_code == 200 and is_page(answer)
    assert answer.headers["Cache-Control"] == "no-store"
    shown = re.search(r'id="password"[^>]*>([a-z0-9-]+)<', answer.text)
    made = db.session.scalars(select(User).where(User.name == "alice")).one()
    assert shown and matches(shown[1], made.password_hash)
    assert (made.role, made.most_clones, [one.name for one in made.groups]) == (Role.USER, 2, ["class"])
    assert shown[1] not in client.get(f"/users/{made.id}").text
    assert shown[1] not in client.get("/users").text


def test_a_password_that_is_given_is_not_shown(people: People, sign_in: SignInAs) -> None:
    answer = sign_in("administrator").post("/users/new", data=NEW | {"password": "a good password"})
    made = db.session.scalars(select(User).where(User.name == "alice")).one()
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/users/{made.id}")
    assert matches("a good password", made.password_hash)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "user"),
        ("name", "<b>"),
        ("name", "x" * 64),
        ("role", "root"),
        ("password", "short"),
        ("password", "x" * 1025),
        ("most_clones", "many"),
        ("most_clones", "-1"),
        ("most_running", "100001"),
        ("most_memory_mib", "1.5"),
        ("groups", "99"),
        ("groups", "x"),
    ],
)
def test_the_form_again_with_the_reason_beside_the_field(
    people: People, sign_in: SignInAs, field: str, value: str
) -> None:
    client = sign_in("administrator")
    for answer in (
        client.post("/users/new", data=NEW | {field: value}),
        fragment(client, "/users/new", method="POST", data=NEW | {field: value}),
    ):
        assert answer.status_code == 422
        assert f'id="{field}-error"' in answer.text
    assert db.session.scalar(select(User).where(User.name == "alice")) is None


def test_the_settings_are_saved(people: People, sign_in: SignInAs) -> None:
    group = groups.create(people.administrator, name="class")
    client, path = sign_in("administrator"), f"/users/{people.user.id}/edit"
    form = {"role": "operator", "groups": [group.id], "most_clones": "0", "most_running": "", "most_memory_mib": "512"}
    answer = client.post(path, data=form)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/users/{people.user.id}")
    found = db.session.get_one(User, people.user.id)
    assert (found.role, found.most_clones, found.most_running, found.most_memory_mib) == ("operator", 0, None, 512)
    text = client.get(path).text
    assert f'name="groups" value="{group.id}" checked' in text
    assert re.search(r'id="most_clones"[^>]* value="0"', text)
    assert client.post(path, data=LIMITS | {"role": "user"}).status_code == 303
    assert db.session.get_one(User, people.user.id).groups == []


def test_oneself_stays_an_administrator(people: People, sign_in: SignInAs) -> None:
    client, me = sign_in("administrator"), people.administrator.id
    answer = client.post(f"/users/{me}/edit", data=LIMITS | {"role": "user"})
    assert answer.status_code == 422 and 'id="role-error"' in answer.text
    assert client.post(f"/users/{me}/off").status_code == 409
    assert client.post(f"/users/{me}/delete").status_code == 409
    page = client.get(f"/users/{me}").text
    assert f"/users/{me}/off" not in page and f"/users/{me}/delete" not in page
    assert f"/users/{me}/password" in page
    assert client.get("/users").status_code == 200


def test_switching_off_ends_the_sign_ins_and_on_lets_in(people: People, sign_in: SignInAs) -> None:
    token = sessions.begin(people.user, "192.0.2.7", "a browser")
    client, path = sign_in("administrator"), f"/users/{people.user.id}"
    assert client.post(f"{path}/off").headers["Location"] == path
    assert sessions.find(token) is None
    assert 'data-state="deactivated"' in client.get(path).text
    assert client.post(f"{path}/on").status_code == 303
    assert db.session.get_one(User, people.user.id).active


def test_somebody_is_deleted_but_not_with_desktops(world: World, people: People, sign_in: SignInAs) -> None:
    client = sign_in("administrator")
    answer = client.post(f"/users/{people.user.id}/delete")
    assert answer.status_code == 409 and "user has 1 desktop. Delete it first" in answer.text
    assert client.post(f"/users/{people.operator.id}/delete").headers["Location"] == "/users"
    assert db.session.get(User, people.operator.id) is None


def test_a_password_is_reset_and_shown_once(people: People, sign_in: SignInAs) -> None:
    token = sessions.begin(people.user, "192.0.2.7", "a browser")
    client, path = sign_in("administrator"), f"/users/{people.user.id}/password"
    asked = (
        lambda: client.post(path, data=CONFIRMED),
        lambda: fragment(client, path, method="POST", at=f"/users/{people.user.id}", data=CONFIRMED),
    )
    for ask in asked:
        answer = ask()
        assert answer.status_code == 200
        shown = re.search(r'id="password"[^>]*>([a-z0-9-]+)<', answer.text)
        found = db.session.get_one(User, people.user.id)
        db.session.refresh(found)
        assert shown and matches(shown[1], found.password_hash) and found.must_change_password
    assert sessions.find(token) is None


def test_a_lost_second_factor_is_taken_away(people: People, sign_in: SignInAs) -> None:
    with transaction():
        people.user.totp_secret, people.user.totp_since = "kept", now()
    client, path = sign_in("administrator"), f"/users/{people.user.id}"
    assert f"{path}/second-factor" in client.get(path).text
    assert client.post(f"{path}/second-factor", data=CONFIRMED).headers["Location"] == path
    assert not db.session.get_one(User, people.user.id).has_second_factor
    assert f"{path}/second-factor" not in client.get(path).text


@pytest.mark.parametrize("password", [None, "", "a wrong one"])
@pytest.mark.parametrize("what", ["password", "second-factor"])
@pytest.mark.parametrize("whose", ["user", "administrator"])
def test_an_open_session_of_an_administrator_alone_takes_nobody_s_account_over(
    people: People, sign_in: SignInAs, password: str | None, what: str, whose: str
) -> None:
    user = getattr(people, whose)
    with transaction():
        user.totp_secret, user.totp_since = "kept", now()
    before, token = user.password_hash, sessions.begin(user, "192.0.2.7", "a browser")
    client, path = sign_in("administrator"), f"/users/{user.id}/{what}"
    form = {} if password is None else {"password": password}
    for answer in (client.post(path, data=form), fragment(client, path, method="POST", data=form)):
        assert answer.status_code == 422 and 'id="password-error"' in answer.text
        assert f'action="{path}"' in answer.text, "it is asked again"
    db.session.refresh(user)
    assert user.password_hash == before and user.has_second_factor and sessions.find(token)


def test_nobody_is_made_an_administrator_by_an_open_session_alone(people: People, sign_in: SignInAs) -> None:
    client, path = sign_in("administrator"), f"/users/{people.user.id}/edit"
    for password in ("", "a wrong one"):
        form = LIMITS | {"role": "administrator", "present": password}
        for address, more in (("/users/new", NEW), (path, {})):
            answer = client.post(address, data=more | form)
            assert answer.status_code == 422 and 'id="present-error"' in answer.text
    assert db.session.scalars(select(User.name).where(User.role == Role.ADMINISTRATOR)).all() == ["administrator"]
    form = LIMITS | {"role": "administrator", "present": PASSWORD}
    assert client.post(path, data=form).status_code == 303
    assert client.post("/users/new", data=NEW | form).status_code == 200
    assert client.post(path, data=LIMITS | {"role": "administrator"}).status_code == 303, "no more than before"


def test_a_table_that_gives_accounts_away_asks_for_the_password(people: People, sign_in: SignInAs) -> None:
    client = sign_in("administrator")
    for text, asks in (
        ("name,role\nuser,administrator\n", True),
        ("name,role\nalice,administrator\n", True),
        ("name,password\nother,another good one\n", True),
        ("name,role,password\nbob,operator,another good one\n", False),
    ):
        key = csv_import.preview(people.administrator, text.encode()).key
        assert ('name="password"' in client.get(f"/users/upload/{key}").text) == asks
        if asks:
            for form in ({}, {"password": "a wrong one"}):
                answer = client.post(f"/users/upload/{key}", data=form)
                assert answer.status_code == 422 and 'id="password-error"' in answer.text
        form = {"password": PASSWORD} if asks else {}
        assert client.post(f"/users/upload/{key}", data=form).status_code == 303


def test_the_preview_goes_on_by_itself_until_all_passwords_are_ready(
    people: People, sign_in: SignInAs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_import, "HASH_SECONDS", 0)
    table = (io.BytesIO(b"name,password\nalice,a good password\nbob,another password\n"), "users.csv")
    client = sign_in("administrator")
    path = client.post("/users/upload", data={"file": table}).location
    page = client.get(path)
    assert f'hx-post="{path}/passwords"' in page.text and "1 of 2" in page.text
    assert client.post(path).status_code == 409
    piece = fragment(client, f"{path}/passwords", method="POST")
    assert piece.status_code == 200 and not is_page(piece) and f'action="{path}"' in piece.text
    assert client.post(path).status_code == 303


def test_sign_ins_are_listed_for_administrators_and_ended(people: People, sign_in: SignInAs) -> None:
    sessions.begin(people.user, "192.0.2.77", "Mozilla/5.0 Firefox/128.0")
    path = f"/users/{people.user.id}"
    assert "192.0.2.77" not in sign_in("operator").get(path).text
    client = sign_in("administrator")
    assert "192.0.2.77" in client.get(path).text
    assert client.post(f"{path}/sign-ins/end-all").headers["Location"] == path
    assert db.session.scalars(select(UserSession).where(UserSession.user_id == people.user.id)).all() == []


def test_an_operator_is_given_a_part_and_all_again(world: World, people: People, sign_in: SignInAs) -> None:
    client, path = sign_in("administrator"), f"/users/{people.operator.id}"
    form = {"part": "some", "bases": [world.base], "nodes": [world.nodes[0], world.nodes[2]]}
    assert client.post(f"{path}/part", data=form).headers["Location"] == path
    assert scopes.of(people.operator) == scopes.Scope(
        frozenset({world.nodes[0], world.nodes[2]}), frozenset({world.base})
    )
    text = client.get(path).text
    assert "linux" in text and "n1, n3" in text
    assert f'name="bases" value="{world.base}" checked' in client.get(f"{path}/part").text
    assert client.post(f"{path}/part", data={}).status_code == 422
    empty = client.post(f"{path}/part", data={"part": "some"})
    assert empty.status_code == 422 and 'id="part-error"' in empty.text
    foreign = client.post(f"{path}/part", data={"part": "some", "nodes": "99"})
    assert foreign.status_code == 422 and 'id="nodes-error"' in foreign.text
    assert client.post(f"{path}/part", data={"part": "all"}).status_code == 303
    assert db.session.scalars(select(OperatorScope)).all() == []
    assert client.post(f"/users/{people.user.id}/part", data={"part": "all"}).status_code == 409


def test_pages_show_an_operator_the_part_alone(world: World, people: People, sign_in: SignInAs) -> None:
    operator_scopes.set_scope(people.administrator, people.operator, [world.nodes[0]], [])
    client = sign_in("operator")
    assert client.get(f"/nodes/{world.nodes[1]}").status_code == 404
    assert client.get(f"/nodes/{world.nodes[0]}").status_code == 200
    for address in ("/nodes", "/clones", f"/bases/{world.base}/base", "/clones/new"):
        text = client.get(address).text
        assert ">n2<" not in text and ">n3<" not in text, address
    assert ">n2</option>" not in client.get("/operations").text
    assert client.get("/bases").status_code == 200
    foreign = next(one for one in (world.mine, world.foreign) if client.get(f"/clones/{one}").status_code == 404)
    for action in ("start", "shut-down", "restart", "force-off", "delete"):
        assert client.get(f"/clones/{action}?id={foreign}").status_code == 404
        assert client.post(f"/clones/{action}", data={"id": foreign}).status_code == 404
    for path in (f"/console/{foreign}", f"/desktops/{foreign}/picture"):
        assert client.get(path).status_code == 404
    for path in (f"/console/{foreign}/ticket", f"/desktops/{foreign}/launch"):
        assert client.post(path).status_code == 404
    assert client.post("/operations/cancel", data={"id": "9999"}).status_code == 404


def test_every_right_is_in_words_and_in_the_table(people: People, sign_in: SignInAs) -> None:
    assert set(labels.people.RIGHTS) == set().union(*rights.RIGHTS.values())
    text = sign_in("operator").get("/users/roles").text
    for right in labels.people.RIGHTS:
        row = text[text.index(f'data-right="{right}"') :].split("</tr>")[0]
        marks = re.findall(r'visually-hidden">(yes|no)<', row)
        assert marks == ["yes" if right in theirs else "no" for theirs in rights.RIGHTS.values()]


def upload(client: FlaskClient, text: str | bytes) -> tuple[int, str, str]:
    content = text.encode() if isinstance(text, str) else text
    answer = client.post("/users/upload", data={"file": (io.BytesIO(content), "users.csv")})
    return answer.status_code, answer.headers.get("Location", ""), answer.text


def test_generated_passwords_are_on_one_sheet_that_is_shown_once(people: People, sign_in: SignInAs) -> None:
    client = sign_in("administrator")
    table = {"file": (io.BytesIO(b"name,groups\nalice,New\n=bob,New\n"), "users.csv"), "draws": "y"}
    assert "not a valid name" in client.post("/users/upload", data=table).text
    table = {"file": (io.BytesIO(b"name,groups\nalice,New\nbob,New\n"), "users.csv")}
    path = client.post("/users/upload", data=table | {"draws": "y", "makes_groups": "y"}).location
    assert "Groups to create" in client.get(path).text
    sheet = client.post(path)
    assert sheet.status_code == 200 and sheet.headers["Cache-Control"] == "no-store"
    password = re.findall(r"<td>bob</td><td><code>([^<]+)</code>", sheet.text)[0]
    assert f"bob%2C{password}" in sheet.text or f"bob,{password}" in sheet.text, "in the file to download, too"
    assert client.post(path).status_code == 404 and client.get(path).status_code == 404
    with client.session_transaction() as session:
        session.clear()
    g.pop("_login_user", None)
    answer = client.post("/login", data={"name": "bob", "password": password})
    assert answer.status_code == 303 and "/account/password" in client.get(answer.location).location


def test_a_table_is_uploaded_looked_at_and_done(people: People, sign_in: SignInAs) -> None:
    client = sign_in("administrator")
    status, leads, _text = upload(client, "name;role\nalice;operator\nbob;\nuser;user\n")
    assert status == 303 and leads.startswith("/users/upload/")
    page = client.get(leads)
    assert page.status_code == 200 and "alice" in page.text and 'id="unchanged">1<' in page.text
    assert db.session.scalar(select(User).where(User.name == "alice")) is None
    assert client.post(leads).headers["Location"] == "/users"
    assert "2 created, 0 updated, 1 unchanged" in client.get("/users").text
    assert client.post(leads).status_code == 404


def test_a_bad_table_is_shown_line_by_line(people: People, sign_in: SignInAs) -> None:
    client = sign_in("administrator")
    status, _leads, text = upload(client, "name,role\n" + "".join(f"u{number},root\n" for number in range(60)))
    assert status == 422
    assert 'id="errors"' in text and "60 errors" in text
    assert text.count("is not a role") == 50 and "and 10 more" in text
    status, _leads, text = upload(client, "name,<script>\n")
    assert status == 422 and "&lt;script&gt;" in text and "<script>\n" not in text
    assert client.post("/users/upload", data={}).status_code == 422
    head = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="users.csv"\r\n\r\nname\n'
    body = head + b"x" * (4 << 20) + b"\r\n--edge--"
    kind = "multipart/form-data; boundary=edge"
    assert client.post("/users/upload", data=body, content_type=kind).status_code == 413


def test_a_foreign_table_is_not_looked_at(people: People, sign_in: SignInAs) -> None:
    with transaction():
        people.other.role = Role.ADMINISTRATOR
    preview = csv_import.preview(people.other, b"name\nalice\n")
    client = sign_in("administrator")
    assert client.get(f"/users/upload/{preview.key}").status_code == 404
    assert client.post(f"/users/upload/{preview.key}").status_code == 404


def test_the_table_of_all_is_downloaded(people: People, sign_in: SignInAs) -> None:
    answer = sign_in("operator").get("/users/download")
    assert (answer.status_code, answer.mimetype) == (200, "text/csv")
    assert re.fullmatch(r'attachment; filename="users-\d{4}-\d\d-\d\d\.csv"', answer.headers["Content-Disposition"])
    assert "operator,operator,yes" in answer.text and PASSWORD not in answer.text and "argon2" not in answer.text
    assert sign_in("user").get("/users/download").status_code == 403


CHANGES = ["new", "{other}/edit", "{operator}/part", "{other}/off", "{other}/on", "{other}/delete", "{other}/password",
           "{other}/second-factor", "{other}/sign-ins/end-all", "upload", "upload/none"]  # fmt: skip


@pytest.mark.parametrize("address", CHANGES)
def test_no_change_by_who_may_not_or_without_a_token(people: People, sign_in: SignInAs, address: str) -> None:
    path = at(people, f"/users/{address}")
    for role in ("user", "operator"):
        assert sign_in(role).post(path, data=NEW).status_code == 403
    client = sign_in("administrator")
    client.application.config["WTF_CSRF_ENABLED"] = True
    assert client.post(path, data=NEW).status_code == 400
    assert db.session.scalar(select(User).where(User.name == "alice")) is None


def test_the_navigation_leads_there_for_who_may(people: People, sign_in: SignInAs) -> None:
    for role, seen in (("user", False), ("operator", True), ("administrator", True)):
        assert ('href="/users"' in sign_in(role).get("/").text) is seen


@pytest.mark.parametrize("name", ["bob+lab@x", "o'brien"])
def test_names_with_a_plus_and_an_apostrophe_on_all_pages(world: World, sign_in: SignInAs, name: str) -> None:
    client, shown = sign_in("administrator"), str(escape(name))
    assert client.post("/users/new", data=NEW | {"name": name}).status_code == 200
    made = db.session.scalars(select(User).where(User.name == name)).one()
    assert shown in client.get("/users", query_string={"search": name}).text
    assert shown in client.get(f"/users/{made.id}").text
    assert shown in client.get("/users/suggestions", query_string={"owner": name}).text
    form = {"base_id": world.base, "count": 1, "prefix": "theirs", "owner": name}
    assert client.post("/clones/new", data=form).status_code == 303
    listed = client.get("/clones", query_string={"owner": name}).text
    assert "theirs-1" in listed and shown in listed and "mine-1" not in listed


def test_a_name_that_differs_in_case_alone_is_refused_in_the_form(world: World, sign_in: SignInAs) -> None:
    answer = sign_in("administrator").post("/users/new", data=NEW | {"name": "OPERATOR"})
    assert answer.status_code == 422
    assert "already a user “operator”" in answer.text


def test_a_persons_activity_says_who_failed_to_sign_in(
    people: People, client: FlaskClient, sign_in: Callable[[User], FlaskClient]
) -> None:
    client.post("/login", data={"name": "other", "password": "not this one"})
    sign_in(people.other)
    client.post("/logout")
    for page in (f"/users/{people.other.id}", "/audit"):
        shown = re.sub(r"<[^>]+>", "", sign_in(people.administrator).get(page).text)
        assert "failed to sign in" in shown and "signed in" in shown
    asked = re.sub(r"<[^>]+>", " ", client.get(f"/users/{people.other.id}").text)
    assert re.findall(r"other : (.*?in)\b", asked) == ["signed in", "failed to sign in"]
