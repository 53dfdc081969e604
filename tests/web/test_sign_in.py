"""Signing in and one's own account: one way in, guesses slowed, codes good once, sessions that end."""

import re
import time
from collections.abc import Callable
from datetime import timedelta

import pyotp
import pytest
from flask import Flask, g
from flask.testing import FlaskClient

from ravada_web.extensions import db
from ravada_web.models import Event, RecoveryCode, User, UserSession, now
from ravada_web.services.sign_in import passwords, second_factor, sessions
from ravada_web.services.transaction import transaction
from tests.conftest import PASSWORD, People
from tests.support.servers import wait_until
from tests.web.asking import fragment

SignInAs = Callable[[User | str], FlaskClient]
WRONG = "wrong password"


def log_in(client: FlaskClient, name: str, password: str = PASSWORD, **more: str) -> int:
    g.pop("_login_user", None)
    return client.post("/login", data={"name": name, "password": password, **more}).status_code


def is_in(client: FlaskClient) -> bool:
    g.pop("_login_user", None)
    return client.get("/account").status_code == 200


@pytest.fixture
def secret(people: People) -> str:
    """The user's second factor, set up and proved by the code before this one."""
    drawn = second_factor.begin(people.user)
    second_factor.confirm(people.user, pyotp.TOTP(drawn).at(time.time() - 30))
    return drawn


def code_of(secret: str, ahead: int = 0) -> str:
    return pyotp.TOTP(secret).at(time.time() + 30 * ahead)


def test_one_answer_for_every_wrong_way(client: FlaskClient, people: People) -> None:
    with transaction():
        people.other.active = False
    texts = set()
    for name, password in (("user", WRONG), ("nobody", PASSWORD), ("other", PASSWORD), ("USER", WRONG)):
        answer = client.post("/login", data={"name": name, "password": password})
        texts.add((answer.status_code, re.sub(r'value="[^"]*"|content="[^"]*"', "", answer.text)))
    assert len(texts) == 1


@pytest.mark.clock
def test_five_hundred_wrong_passwords_stop_nobody_else(app: Flask, people: People) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    owner, attacker, neighbour = (app.test_client() for _browser in range(3))
    begun = time.perf_counter()
    assert log_in(owner, "user") == 303
    alone = time.perf_counter() - begun
    owner.post("/logout")
    answers = [log_in(attacker, "user", WRONG) for _attempt in range(500)]
    assert answers.count(422) == 10 and answers.count(429) == 490
    assert log_in(attacker, "user") == 429
    begun = time.perf_counter()
    assert log_in(owner, "user") == 303
    assert log_in(neighbour, "other") == 303
    assert (time.perf_counter() - begun) / 2 < 5 * alone + 0.2


def test_a_known_browser_is_slowed_too(app: Flask, people: People) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    client = app.test_client()
    assert log_in(client, "user") == 303
    client.post("/logout")
    assert [log_in(client, "user", WRONG) for _attempt in range(11)] == [422] * 10 + [429]


def test_a_device_cookie_of_ones_own_making_is_worth_nothing(app: Flask, people: People) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    client = app.test_client()
    for attempt in range(12):
        client.set_cookie("device", f'{{"1": "forged{attempt}"}}')
        answer = log_in(client, "user", WRONG)
    assert answer == 429


def test_spraying_many_names_is_slowed_and_keeps_nobody_out(app: Flask, people: People, client: FlaskClient) -> None:
    assert [log_in(client, f"name{number}", WRONG) for number in range(60)] == [422] * 60
    app.config["WTF_CSRF_ENABLED"] = False
    assert log_in(app.test_client(), "other") == 303, "somebody new behind the same address"


def test_beyond_the_limit_of_an_address_one_attempt_a_second_is_looked_at(
    app: Flask, people: People, client: FlaskClient
) -> None:
    app.extensions["settings"].login_limit_per_address = "15 per hour"
    answers = [log_in(client, f"name{number}", WRONG) for number in range(45)]
    assert answers[:15] == [422] * 15 and 429 in answers[15:]
    wait_until(lambda: log_in(client, "other") == 303, 30, "somebody new behind the same address is let in")


def test_who_was_guessed_at_is_told_at_the_next_sign_in_and_on_the_account_page(app: Flask, people: People) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    attacker, owner = app.test_client(), app.test_client()
    for _guess in range(7):
        log_in(attacker, "user", WRONG)
    assert log_in(owner, "user") == 303
    g.pop("_login_user", None)
    assert "Failed sign-in attempts since" in owner.get("/").text
    for _visit in range(2):
        g.pop("_login_user", None)
        assert re.search("Failed sign-in attempts since [^<]*: 7", owner.get("/account").text)
    g.pop("_login_user", None)
    assert owner.post("/account/failures/seen").status_code == 303
    g.pop("_login_user", None)
    assert "Failed sign-in attempts" not in owner.get("/account").text


def test_a_few_slips_of_ones_own_are_not_told(client: FlaskClient, people: People) -> None:
    for _slip in range(3):
        log_in(client, "user", WRONG)
    assert log_in(client, "user") == 303
    g.pop("_login_user", None)
    assert "Failed sign-in attempts" not in client.get("/account").text


def test_one_sign_in_too_many_ends_the_session_that_was_not_used_for_longest(app: Flask, people: People) -> None:
    app.extensions["settings"].sessions_per_user = 3
    tokens = [sessions.begin(people.user, "192.0.2.1", "a test") for _browser in range(3)]
    other = sessions.begin(people.other, "192.0.2.1", "a test")
    with transaction() as session:
        session.query(UserSession).filter_by(token_hash=sessions.digest(tokens[1])).update(
            {"seen_at": now() - timedelta(hours=1)}
        )
    tokens.append(sessions.begin(people.user, "192.0.2.1", "a test"))
    assert [sessions.find(token) is not None for token in tokens] == [True, False, True, True]
    assert sessions.find(other) is not None
    assert db.session.query(Event).filter_by(action="end_sign_ins", object_name="user").count() == 1


WITHOUT = [
    ("/account/second-factor/off", {}),
    ("/account/second-factor/codes", {}),
    ("/account/password", {"password": "another good one", "again": "another good one"}),
]


@pytest.mark.parametrize(("address", "form"), WITHOUT)
@pytest.mark.parametrize("password", ["", WRONG])
def test_an_open_session_alone_takes_nothing_over(
    people: People, sign_in: SignInAs, secret: str, address: str, form: dict[str, str], password: str
) -> None:
    client = sign_in("user")
    before = people.user.password_hash
    answer = client.post(address, data=form | {"password": form.get("password", password), "present": password})
    assert answer.status_code == 422 and "-error" in answer.text
    assert people.user.has_second_factor and people.user.password_hash == before
    assert second_factor.codes_left(people.user) == 10


def test_an_open_session_alone_binds_no_second_factor(people: People, sign_in: SignInAs) -> None:
    client = sign_in("user")
    drawn = second_factor.begin(people.user)
    for password in ("", WRONG):
        answer = client.post("/account/second-factor", data={"code": code_of(drawn), "password": password})
        assert answer.status_code == 422 and 'id="password-error"' in answer.text
    assert not people.user.has_second_factor


def test_wrong_passwords_in_an_open_session_are_slowed_and_told(people: People, sign_in: SignInAs) -> None:
    client = sign_in("user")
    form = {"password": "another good one", "again": "another good one"}
    answers = [client.post("/account/password", data=form | {"present": f"guess {n}"}).status_code for n in range(12)]
    assert answers == [422] * 10 + [429] * 2
    assert client.post("/account/password", data=form | {"present": PASSWORD}).status_code == 429
    assert passwords.authenticate("user", PASSWORD) is not None
    assert "Failed sign-in attempts since" in client.get("/account").text
    lines = db.session.query(Event).filter_by(action="confirm", result="refused").all()
    assert [line.object_id for line in lines] == [people.user.id]
    assert log_in(client, "user") == 303, "signing in is counted for itself"


def test_refused_attempts_are_in_the_log_but_cannot_fill_it(client: FlaskClient, people: People) -> None:
    for _attempt in range(8):
        log_in(client, "user", WRONG)
    log_in(client, "no\u202euser\x01" + "x" * 300, WRONG)
    assert log_in(client, "nouser\x00", WRONG) == 400  # no name can be that, nothing is looked up
    lines = db.session.query(Event).filter_by(action="sign_in", result="refused").all()
    assert [(line.object_id, line.address) for line in lines] == [(people.user.id, "127.0.0.1"), (None, "127.0.0.1")]
    assert len(lines[1].object_name) <= 64 and lines[1].object_name.isprintable()


def test_the_cookies_are_for_http_alone(app: Flask, people: People, client: FlaskClient) -> None:
    answer = client.post("/login", data={"name": "user", "password": PASSWORD})
    cookies = {cookie.split("=")[0]: cookie for cookie in answer.headers.getlist("Set-Cookie")}
    assert set(cookies) == {"session", "device"}
    assert all("HttpOnly" in cookie and "SameSite=Lax" in cookie for cookie in cookies.values())


def test_a_right_password_is_half_the_way(client: FlaskClient, people: People, secret: str) -> None:
    answer = client.post("/login", data={"name": "user", "password": PASSWORD, "next": "/clones"})
    assert answer.location == "/login/code?next=/clones"
    assert not is_in(client)
    for path in ("/", "/account", "/clones/1", "/console/1"):
        g.pop("_login_user", None)
        assert client.get(path).status_code == 303
    answer = client.post("/login/code", data={"code": code_of(secret), "next": "/clones"})
    assert (answer.status_code, answer.location) == (303, "/clones")
    assert is_in(client)


@pytest.mark.parametrize("next_", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_the_code_page_leads_nowhere_else(client: FlaskClient, people: People, secret: str, next_: str) -> None:
    log_in(client, "user")
    assert client.post("/login/code", data={"code": code_of(secret), "next": next_}).location == "/"


@pytest.mark.parametrize("extra", [{"code": "000000"}, {"user": "1"}, {"second_factor": "done"}, {"_user_id": "1"}])
def test_no_extra_word_skips_the_code(client: FlaskClient, people: People, secret: str, extra: dict[str, str]) -> None:
    log_in(client, "user", **extra)
    assert not is_in(client)


def test_a_code_is_good_once(app: Flask, client: FlaskClient, people: People, secret: str) -> None:
    code = code_of(secret)
    log_in(client, "user")
    assert client.post("/login/code", data={"code": code}).status_code == 303
    client.post("/logout")
    log_in(client, "user")
    assert client.post("/login/code", data={"code": code}).status_code == 422
    assert client.post("/login/code", data={"code": code_of(secret, ahead=1)}).status_code == 303


def test_somebody_elses_code_is_wrong(client: FlaskClient, people: People, secret: str) -> None:
    theirs = second_factor.begin(people.other)
    log_in(client, "user")
    assert client.post("/login/code", data={"code": code_of(theirs)}).status_code == 422


def test_codes_cannot_be_guessed(client: FlaskClient, people: People, secret: str) -> None:
    log_in(client, "user")
    wrong = "000000" if code_of(secret) != "000000" else "111111"
    answers = [client.post("/login/code", data={"code": wrong}).status_code for _attempt in range(7)]
    assert answers == [422] * 5 + [429] * 2


def test_the_half_way_mark_is_forgotten(client: FlaskClient, people: People, secret: str) -> None:
    log_in(client, "user")
    with client.session_transaction() as session:
        session["half_way"] = session["half_way"] | {"at": time.time() - 301}
    assert client.post("/login/code", data={"code": code_of(secret)}).location.startswith("/login")
    assert not is_in(client)


def test_a_recovery_code_lets_in_once(client: FlaskClient, people: People) -> None:
    drawn = second_factor.begin(people.user)
    codes = second_factor.confirm(people.user, code_of(drawn))
    assert len(codes) == 10 and codes[0] not in repr(db.session.query(RecoveryCode.code_hash).all())
    for answer in (303, 422):
        log_in(client, "user")
        assert client.post("/login/code", data={"code": codes[0].upper()}).status_code == answer
        client.post("/logout")
    assert second_factor.codes_left(people.user) == 9


def test_the_secret_is_kept_sealed(app: Flask, people: People, secret: str) -> None:
    assert people.user.totp_secret and secret not in people.user.totp_secret


def test_setting_it_up_by_the_page(client: FlaskClient, people: People, sign_in: SignInAs) -> None:
    sign_in("user")
    page = client.get("/account/second-factor").text
    drawn = re.search(r'class="fingerprint"[^>]*>([A-Z2-7]{32})<', page)
    assert drawn and 'src="data:image/svg+xml' in page
    assert client.post("/account/second-factor", data={"code": "123"}).status_code == 422
    assert not people.user.has_second_factor
    answer = client.post("/account/second-factor", data={"code": code_of(drawn[1]), "password": PASSWORD})
    assert answer.status_code == 200 and answer.headers["Cache-Control"] == "no-store"
    assert len(re.findall(r"^[a-z2-9]{5}-[a-z2-9]{5}", answer.text, re.M)) >= 9
    assert client.post("/account/second-factor/off", data={"password": WRONG}).status_code == 422
    assert client.post("/account/second-factor/off", data={"password": PASSWORD}).status_code == 303
    assert not people.user.has_second_factor


def test_a_role_may_demand_it(app: Flask, client: FlaskClient, people: People, sign_in: SignInAs) -> None:
    app.extensions["settings"].second_factor_roles = ["administrator"]
    sign_in("administrator")
    assert client.get("/nodes").location == "/account/second-factor"
    part = fragment(client, "/nodes")
    assert (part.status_code, part.headers["HX-Redirect"]) == (403, "/account/second-factor")
    drawn = second_factor.begin(people.administrator)
    client.post("/account/second-factor", data={"code": code_of(drawn), "password": PASSWORD})
    assert client.get("/nodes").status_code == 200
    assert client.post("/account/second-factor/off", data={"password": PASSWORD}).status_code == 409
    sign_in("user")
    assert client.get("/").status_code == 200


def test_a_password_that_was_reset_is_changed_first(client: FlaskClient, people: People, sign_in: SignInAs) -> None:
    sign_in("user")
    drawn = passwords.reset_password(people.administrator, people.user, PASSWORD)
    assert not is_in(client)
    assert log_in(client, "user") == 422
    assert log_in(client, "user", drawn) == 303
    g.pop("_login_user", None)
    assert client.get("/").location == "/account/password"
    form = {"present": drawn, "password": "another good one", "again": "another good one"}
    assert client.post("/account/password", data=form).status_code == 303
    assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"present": WRONG}, "Wrong current password"),
        ({"again": "something else"}, "don’t match"),
        ({"password": "short", "again": "short"}, "At least 8"),
        ({"password": PASSWORD, "again": PASSWORD}, "different from the current one"),
        ({"present": ""}, "Enter your current password"),
    ],
)
def test_a_password_is_not_changed_by_half(
    client: FlaskClient, people: People, sign_in: SignInAs, values: dict[str, str], text: str
) -> None:
    sign_in("user")
    good = {"present": PASSWORD, "password": "another good one", "again": "another good one"}
    answer = client.post("/account/password", data=good | values)
    assert answer.status_code == 422 and text in answer.text
    assert passwords.authenticate("user", PASSWORD) is not None


def test_a_new_password_ends_the_other_sign_ins(app: Flask, people: People) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    here, there = app.test_client(), app.test_client()
    for client in (here, there):
        assert log_in(client, "user") == 303
    form = {"present": PASSWORD, "password": "another good one", "again": "another good one"}
    g.pop("_login_user", None)
    here.post("/account/password", data=form)
    assert is_in(here) and not is_in(there)


def test_sign_ins_are_listed_and_ended_by_their_own_user_alone(app: Flask, people: People) -> None:
    app.config["WTF_CSRF_ENABLED"] = False
    here, there, other = (app.test_client() for _browser in range(3))
    for client, name in ((here, "user"), (there, "user"), (other, "other")):
        client.environ_base["HTTP_USER_AGENT"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Firefox/140.0"
        log_in(client, name)
    g.pop("_login_user", None)
    assert here.get("/account").text.count("Firefox on Linux") >= 2
    rows = sessions.listing(people.user)
    g.pop("_login_user", None)
    assert other.post(f"/account/sign-ins/{rows[0].id}/end").status_code == 404
    g.pop("_login_user", None)
    assert here.post("/account/sign-ins/end-others").status_code == 303
    assert is_in(here) and not is_in(there) and is_in(other)


@pytest.mark.parametrize(("column", "age"), [("seen_at", timedelta(hours=12)), ("created_at", timedelta(days=7))])
def test_a_sign_in_ends_by_itself(
    client: FlaskClient, people: People, sign_in: SignInAs, column: str, age: timedelta
) -> None:
    sign_in("user")
    assert is_in(client)
    with transaction() as session:
        session.query(UserSession).update({column: now() - age})
    assert not is_in(client)
    g.pop("_login_user", None)
    part = fragment(client, "/")
    assert part.status_code == 401 and part.headers["HX-Redirect"].startswith("/login")


def test_signing_out_ends_it_on_the_server(client: FlaskClient, people: People) -> None:
    log_in(client, "user")
    cookie = client.get_cookie("session")
    assert cookie is not None
    g.pop("_login_user", None)
    client.post("/logout")
    client.set_cookie("session", cookie.value)
    assert not is_in(client)
