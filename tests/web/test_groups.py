"""The pages of groups, and a base's tab “Access”."""

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import Base, BaseOffer, Event, Group, GroupMember, User
from ravada_web.services.bases import offers
from ravada_web.services.people import groups
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import make_user
from tests.web.asking import fragment, is_page
from tests.web.conftest import World

SignInAs = Callable[[User | str], FlaskClient]
FORM = {"name": "3b", "description": "of 2026", "most_clones": "1", "most_running": "", "most_memory_mib": "2048"}


@pytest.fixture
def group(people: People) -> Group:
    made = groups.create(people.administrator, name="class", description="of the first year")
    groups.add_members(people.administrator, made, "user")
    return made


VIEWS = [
    ("/groups", "operator", "of the first year"),
    ("/groups?search=first", "operator", "class"),
    ("/groups?search=nothing", "operator", 'data-state="no-results"'),
    ("/groups/{group}", "operator", 'id="facts"'),
    ("/groups/new", "administrator", 'id="group-form"'),
    ("/groups/{group}/edit", "administrator", "of the first year"),
    ("/groups/{group}/delete", "administrator", 'id="question"'),
]
LOWER = {"operator": ("user",), "administrator": ("user", "operator")}


@pytest.mark.parametrize(("address", "least", "text"), VIEWS)
def test_a_page_a_fragment_and_refused_to_less(
    people: People, group: Group, sign_in: SignInAs, address: str, least: str, text: str
) -> None:
    path = address.format(group=group.id)
    page = sign_in(least).get(path)
    assert page.status_code == 200 and is_page(page) and text in page.text
    assert page.text.count("<h1") == 1
    part = fragment(sign_in(least), path)
    assert part.status_code == 200 and not is_page(part) and text in part.text
    for role in LOWER[least]:
        assert sign_in(role).get(path).status_code == 403


def test_without_groups_the_page_says_what_they_are(people: People, sign_in: SignInAs) -> None:
    assert "No groups yet" in sign_in("operator").get("/groups").text


def test_a_group_is_made_changed_and_deleted(people: People, sign_in: SignInAs) -> None:
    client = sign_in("administrator")
    made = client.post("/groups/new", data=FORM)
    found = db.session.scalars(select(Group)).one()
    path = f"/groups/{found.id}"
    assert (made.status_code, made.headers["Location"]) == (303, path)
    assert (found.name, found.most_clones, found.most_running, found.most_memory_mib) == ("3b", 1, None, 2048)
    saved = client.post(f"{path}/edit", data=FORM | {"name": "4b", "most_clones": ""})
    assert saved.headers["Location"] == path
    db.session.refresh(found)
    assert (found.name, found.most_clones) == ("4b", None)
    assert client.post(f"{path}/delete").headers["Location"] == "/groups"
    assert db.session.scalars(select(Group)).all() == []
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "class"),
        ("name", "a;b"),
        ("name", "=1+1"),
        ("description", "x" * 501),
        ("most_clones", "-1"),
        ("most_running", "some"),
        ("most_memory_mib", "99999999999"),
    ],
)
def test_the_form_again_with_the_reason(
    people: People, group: Group, sign_in: SignInAs, field: str, value: str
) -> None:
    client = sign_in("administrator")
    other = groups.create(people.administrator, name="other").id
    for path in ("/groups/new", f"/groups/{other}/edit"):
        answer = client.post(path, data=FORM | {field: value})
        assert answer.status_code == 422 and f'id="{field}-error"' in answer.text
        part = fragment(client, path, method="POST", data=FORM | {field: value})
        assert part.status_code == 422 and not is_page(part)
    assert {one.name for one in db.session.scalars(select(Group))} == {"class", "other"}


def test_members_are_added_and_taken_out(people: People, group: Group, sign_in: SignInAs) -> None:
    client, path = sign_in("administrator"), f"/groups/{group.id}"
    assert client.post(f"{path}/members", data={"names": "other, operator"}).headers["Location"] == path
    assert "2 members added" in client.get(path).text
    wrong = client.post(f"{path}/members", data={"names": "other ghost"})
    assert wrong.status_code == 422 and "no user called ghost" in wrong.text and "other ghost</textarea>" in wrong.text
    assert client.post(f"{path}/members", data={"names": ""}).status_code == 422
    assert client.post(f"{path}/members/{people.other.id}/remove").headers["Location"] == path
    members = set(db.session.scalars(select(GroupMember.user_id)))
    assert members == {people.user.id, people.operator.id}
    for missing in (people.other.id, 99):
        assert client.post(f"{path}/members/{missing}/remove").status_code == 404


def test_many_members_come_in_pages(people: People, group: Group, sign_in: SignInAs) -> None:
    with transaction():
        for number in range(70):
            make_user(f"many{number:03}", groups=[group])
    client = sign_in("operator")
    text = client.get(f"/groups/{group.id}?page=2").text
    assert "many069" in text and "many001" not in text
    assert f'href="/groups/{group.id}?page=1"' in text
    assert "/remove" not in text


@pytest.mark.parametrize(
    "address", ["new", "{group}/edit", "{group}/members", "{group}/members/{user}/remove", "{group}/delete"]
)
def test_no_change_by_who_may_not_or_without_a_token(
    people: People, group: Group, sign_in: SignInAs, address: str
) -> None:
    path = f"/groups/{address}".format(group=group.id, user=people.user.id)
    for role in ("user", "operator"):
        assert sign_in(role).post(path, data=FORM).status_code == 403
    client = sign_in("administrator")
    client.application.config["WTF_CSRF_ENABLED"] = True
    assert client.post(path, data=FORM).status_code == 400
    assert [one.name for one in db.session.scalars(select(Group))] == ["class"]
    assert len(db.session.scalars(select(GroupMember)).all()) == 1


def test_a_base_is_offered_on_its_tab(world: World, people: People, group: Group, sign_in: SignInAs) -> None:
    client, path = sign_in("administrator"), f"/bases/{world.base}/offered"
    page = client.get(path)
    assert page.status_code == 200 and is_page(page) and not is_page(fragment(client, path))
    assert f'href="{path}" aria-current="page"' in page.text
    assert re.search(r'name="remakes"[^>]*checked|checked[^>]*name="remakes"', page.text)
    form = {"groups": [group.id], "names": "other", "kind": "volatile", "users_may_delete": "y"}
    assert client.post(path, data=form).headers["Location"] == path
    base = db.session.get_one(Base, world.base)
    edited = db.session.scalars(select(Event).where(Event.action == "edit")).one()
    assert not base.remakes and edited.text.kind == "bases.remakes_off"
    assert (base.offered_to_all, base.offers_volatile, base.users_may_delete, base.users_may_refuse) == (
        False,
        True,
        True,
        False,
    )
    assert [one.name for one in offers.offered(people.user)] == ["linux"]
    assert [one.name for one in offers.offered(people.other)] == ["linux"]
    assert offers.offered(people.operator) == []
    text = client.get(path).text
    assert f'name="groups" value="{group.id}" checked' in text
    assert f'name="users" value="{people.other.id}" checked' in text
    assert client.post(path, data={"to_all": "y", "kind": "persistent", "users_may_refuse": "y"}).status_code == 303
    db.session.refresh(base)
    assert db.session.scalars(select(BaseOffer)).all() == []
    assert (base.offered_to_all, base.offers_volatile, base.users_may_refuse) == (True, False, True)


def test_what_is_wrong_with_an_offer_is_said_beside_it(world: World, people: People, sign_in: SignInAs) -> None:
    client, path = sign_in("administrator"), f"/bases/{world.base}/offered"
    for field, value in (("names", "ghost"), ("groups", "99"), ("users", "99"), ("groups", "x")):
        form = {"to_all": "y", "kind": "persistent", field: value}
        answer = client.post(path, data=form)
        assert answer.status_code == 422, field
        assert f'id="{field}-error"' in answer.text, field
    assert client.post(path, data={"kind": "sometimes"}).status_code == 422
    assert not db.session.get_one(Base, world.base).offered_to_all


def test_operators_look_at_the_offers_and_do_not_change_them(world: World, people: People, sign_in: SignInAs) -> None:
    path = f"/bases/{world.base}/offered"
    client = sign_in("operator")
    text = client.get(path).text
    assert len(re.findall(r"<fieldset disabled>", text)) == 2
    assert ">Save<" not in text
    assert client.post(path, data={"to_all": "y"}).status_code == 403
    user = sign_in("user")
    assert (user.get(path).status_code, user.post(path).status_code) == (403, 403)
    assert sign_in("administrator").get("/bases/99/offered").status_code == 404


def test_a_user_sees_what_is_offered_as_soon_as_it_is(world: World, people: People, sign_in: SignInAs) -> None:
    third = make_user("third")
    assert "linux" not in sign_in(third).get("/").text
    base = db.session.get_one(Base, world.base)
    offers.set_offers(
        people.administrator, base, to_all=True, group_ids=(), user_ids=(),
        volatile=False, users_may_delete=False, users_may_refuse=False, remakes=True,
        restarts=False,
    )  # fmt: skip
    assert f"/desktops/new/{world.base}" in sign_in(third).get("/").text
