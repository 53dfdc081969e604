"""People and groups: who is listed, what may be changed by whom, and that one administrator always stays."""

from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from ravada_web.errors import Conflict, InvalidInput, NotAllowed, NotFound
from ravada_web.extensions import db
from ravada_web.models import (
    BaseOffer,
    Clone,
    CloneState,
    Event,
    Group,
    GroupMember,
    OperatorScope,
    Role,
    Standing,
    User,
    UserSession,
    now,
)
from ravada_web.services.clones import requests as clone_requests
from ravada_web.services.clones.requests import Request
from ravada_web.services.people import groups, operator_scopes, quotas, users
from ravada_web.services.people import listing as people_list
from ravada_web.services.people.listing import Filters
from ravada_web.services.people.quotas import Quota
from ravada_web.services.permissions import rights
from ravada_web.services.sign_in import passwords, sessions
from ravada_web.services.transaction import transaction
from tests.conftest import PASSWORD, People
from tests.support.factories import make_base, make_nodes, make_offer, make_user
from tests.support.refusals import refused


def names(people: People, **filters: object) -> list[str]:
    rows = people_list.page(people.operator, Filters(**filters)).items  # type: ignore[arg-type]
    return [row.user.name for row in rows]


def lines(action: str) -> list[tuple[str, str]]:
    """What the audit log says of users and groups that this was done to."""
    query = select(Event.object_name, Event.text).where(
        Event.action == action, Event.object_kind.in_(["user", "group"])
    )
    return [(name, str(text)) for name, text in db.session.execute(query.order_by(Event.id))]


def save(people: People, user: User, **changes: object) -> None:
    values = {"role": user.role, "group_ids": [group.id for group in user.groups], "most": quotas.NO_QUOTA} | changes
    users.edit(people.administrator, user, **values)  # type: ignore[arg-type]


def make_group(people: People, name: str = "class", *members: User) -> Group:
    group = groups.create(people.administrator, name=name)
    if members:
        groups.add_members(people.administrator, group, " ".join(user.name for user in members))
    return group


def test_filters_and_search(people: People) -> None:
    group = make_group(people, "class", people.other)
    users.create(None, "Zoe_x", Role.USER, PASSWORD)
    with transaction():
        people.user.active = False
    assert names(people) == ["administrator", "operator", "other", "user", "Zoe_x"]
    assert names(people, search="ER") == ["operator", "other", "user"]
    assert names(people, search="_") == ["Zoe_x"]
    assert names(people, role="operator") == ["operator"]
    assert names(people, standing="deactivated") == ["user"]
    assert names(people, standing="never", role="user") == ["other", "Zoe_x"]
    assert names(people, group_id=group.id) == ["other"]


@pytest.mark.parametrize(
    ("standing", "values"),
    [
        (Standing.ACTIVE, {"signed_in_at": now()}),
        (Standing.ACTIVE, {"signed_in_at": now(), "must_change_password": True}),
        (Standing.INVITED, {"must_change_password": True}),
        (Standing.NEVER, {}),
        (Standing.NO_PASSWORD, {"password_hash": "", "must_change_password": True}),
        (Standing.NO_PASSWORD, {"password_hash": "", "signed_in_at": now()}),
        (Standing.DEACTIVATED, {"active": False, "signed_in_at": now()}),
    ],
)
def test_the_list_says_whether_a_person_comes_in(people: People, standing: Standing, values: dict[str, object]) -> None:
    with transaction():
        for name, value in values.items():
            setattr(people.other, name, value)
    assert people.other.standing == standing
    assert "other" in names(people, standing=standing)
    assert "other" not in {name for each in Standing if each != standing for name in names(people, standing=each)}


def test_pages(people: People) -> None:
    with transaction():
        for number in range(60):
            make_user(f"many{number:03}")
    first = people_list.page(people.operator, Filters(search="many"))
    second = people_list.page(people.operator, Filters(search="many"), 2)
    assert (len(first.items), len(second.items), first.pages, first.total) == (50, 10, 2, 60)


def test_users_see_nobody(people: People) -> None:
    asked: list[Callable[[], object]] = [
        lambda: people_list.page(people.user, Filters()),
        lambda: users.get(people.user, people.other.id),
        lambda: groups.page(people.user),
        lambda: groups.listing(people.user),
        lambda: groups.get(people.user, 1),
    ]
    for ask in asked:
        with pytest.raises(NotAllowed):
            ask()
    for missing in (lambda: users.get(people.operator, 999), lambda: groups.get(people.operator, 999)):
        with pytest.raises(NotFound):
            missing()


def test_clones_are_counted_that_the_viewer_knows_of(people: People) -> None:
    nodes = make_nodes(1)
    left, right = make_base(nodes, name="left"), make_base(nodes, name="right")
    for base in (left, left, right):
        clone_requests.request_clones(people.administrator, Request(base, 1, f"c{base}", people.user.name))
    assert people_list.row_of(people.administrator, people.user).clones == 3
    operator_scopes.set_scope(people.administrator, people.operator, [], [left])
    assert people_list.row_of(people.operator, people.user).clones == 2
    rows = {row.user.name: row.clones for row in people_list.page(people.operator, Filters()).items}
    assert rows == {"operator": 0, "user": 2}, "others have nothing in the part"


def test_somebody_new_comes_with_groups_and_limits(people: People) -> None:
    group = make_group(people)
    user, password = users.make(people.administrator, "new", "user", group_ids=[group.id], most=Quota(1, None, 2))
    assert passwords.authenticate("new", password) == user
    assert [one.name for one in user.groups] == ["class"]
    assert quotas.quota_of(user) == Quota(1, None, 2)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"group_ids": [99]}, "groups"),
        ({"most": Quota(-1, None, None)}, "most_clones"),
        ({"most": Quota(None, 100_001, None)}, "most_running"),
        ({"most": Quota(None, None, 1 << 31)}, "most_memory_mib"),
        ({"role": "root"}, "role"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_done(people: People, changes: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        save(people, people.user, **changes)
    assert list(caught.value.fields) == [field]
    made = {"role": "user"} | changes
    with pytest.raises(InvalidInput) as caught:
        users.make(people.administrator, "new", str(made.pop("role")), **made)  # type: ignore[arg-type]
    assert list(caught.value.fields) == [field]
    assert users.find("new") is None


def test_editing_says_what_was_changed(people: People) -> None:
    group = make_group(people)
    save(people, people.user, role="operator", group_ids=[group.id], most=Quota(3, 1, 2048))
    assert people.user.role == Role.OPERATOR and rights.can(people.user, "users.see")
    save(people, people.user, most=Quota(3, 1, 2048))
    save(people, people.user, group_ids=[], most=Quota(3, 1, 2048))
    assert [text for _name, text in lines("edit")] == [
        "operator; in class; quota of 3 desktops, 1 running, and 2 GiB of memory",
        "",
        "in no group",
    ]


def test_only_administrators_change_people(people: People) -> None:
    group, module = make_group(people), users
    for actor in (people.user, people.operator):
        asked: list[Callable[[], object]] = [
            lambda actor=actor: module.make(actor, "new", "user"),  # type: ignore[misc]
            lambda actor=actor: module.edit(actor, people.other, role="user", group_ids=[], most=quotas.NO_QUOTA),  # type: ignore[misc]
            lambda actor=actor: module.deactivate(actor, people.other),  # type: ignore[misc]
            lambda actor=actor: module.activate(actor, people.other),  # type: ignore[misc]
            lambda actor=actor: module.delete(actor, people.other),  # type: ignore[misc]
            lambda actor=actor: groups.create(actor, name="mine"),  # type: ignore[misc]
            lambda actor=actor: groups.edit(actor, group, name="x", description="", most=quotas.NO_QUOTA),  # type: ignore[misc]
            lambda actor=actor: groups.add_members(actor, group, "user"),  # type: ignore[misc]
            lambda actor=actor: groups.remove_member(actor, group, people.other.id),  # type: ignore[misc]
            lambda actor=actor: groups.delete(actor, group),  # type: ignore[misc]
        ]
        for ask in asked:
            with pytest.raises(NotAllowed):
                ask()
    assert db.session.scalar(select(func.count()).select_from(User)) == 4


def test_switched_off_is_signed_out_and_on_again_may_sign_in(people: People) -> None:
    token = sessions.begin(people.user, "192.0.2.1", "a test")
    users.deactivate(people.administrator, people.user)
    assert sessions.find(token) is None
    assert db.session.scalar(select(func.count()).where(UserSession.user_id == people.user.id)) == 0
    assert passwords.authenticate("user", PASSWORD) is None
    users.activate(people.administrator, people.user)
    assert passwords.authenticate("user", PASSWORD) == people.user
    assert sessions.find(token) is None


def test_nobody_takes_the_administrators_role_or_the_switch_from_themselves(people: People) -> None:
    users.create(None, "second", Role.ADMINISTRATOR, PASSWORD)
    me = people.administrator
    with refused(InvalidInput, "people.not_from_yourself"):
        save(people, me, role="user")
    with refused(Conflict, "people.not_from_yourself"):
        users.deactivate(me, me)
    with refused(Conflict, "people.delete_yourself"):
        users.delete(me, me)
    assert (me.role, me.active) == (Role.ADMINISTRATOR, True)


def test_the_last_administrator_who_may_sign_in_stays_one(people: People) -> None:
    second, _password = users.create(None, "second", Role.ADMINISTRATOR, PASSWORD)
    users.deactivate(people.administrator, second)
    with transaction() as session:
        # Whoever has lost the role meanwhile still holds the page that asks for it.
        assert users.why_stays(session, None, people.administrator).kind == "people.last_administrator"
        assert not users.why_stays(session, None, second)
    users.activate(people.administrator, second)
    with transaction() as session:
        assert not users.why_stays(session, second, people.administrator)
    users.edit(second, people.administrator, role="user", group_ids=[], most=quotas.NO_QUOTA)
    assert not rights.can(people.administrator, "users.change")


def test_who_owns_clones_is_not_deleted(people: People) -> None:
    clone_requests.request_clones(people.administrator, Request(make_base(make_nodes(1)), 2, "desk", people.user.name))
    with refused(Conflict, "people.has_desktops", name="user", count=2):
        users.delete(people.administrator, people.user)
    with transaction() as session:
        for clone in session.scalars(select(Clone)):
            clone.state = CloneState.STOPPED
            session.delete(clone)
    users.delete(people.administrator, people.user)
    assert users.find("user") is None


def test_all_that_hangs_on_somebody_goes_too(people: People) -> None:
    base = make_base(make_nodes(1))
    make_group(people, "class", people.operator)
    operator_scopes.set_scope(people.administrator, people.operator, [], [base])
    sessions.begin(people.operator, "192.0.2.1", "a test")
    make_offer(base, people.operator)
    users.delete(people.administrator, people.operator)
    for table in (GroupMember, OperatorScope, UserSession, BaseOffer):
        assert db.session.scalar(select(func.count()).select_from(table)) == 0, table
    assert lines("delete") == [("operator", "")]


def test_groups_are_made_changed_and_deleted(people: People) -> None:
    group = groups.create(people.administrator, name="Klasse 3b", description="of 2026", most=Quota(1, 1, None))
    groups.add_members(people.administrator, group, "user, other;user\noperator")
    groups.edit(people.administrator, group, name="Klasse 4b", description="", most=Quota(2, None, None))
    (row,) = groups.page(people.operator).items
    assert (row.group.name, row.members, row.bases) == ("Klasse 4b", 3, 0)
    assert quotas.quota_of(people.user) == Quota(2, None, None)
    assert [user.name for user in groups.members(people.operator, group).items] == ["operator", "other", "user"]
    assert groups.page(people.operator, "klasse 9").total == 0
    groups.delete(people.administrator, group)
    assert groups.listing(people.operator) == []
    assert db.session.scalar(select(func.count()).select_from(GroupMember)) == 0
    assert users.find("user") is not None


@pytest.mark.parametrize("name", ["", "=1+1", "-x", "_x", "a;b", "a,b", "x" * 64, "<b>", "class"])
def test_a_wrong_or_taken_name_of_a_group_is_refused(people: People, name: str) -> None:
    make_group(people, "class")
    other = make_group(people, "other")
    for change in (
        lambda: groups.create(people.administrator, name=name),
        lambda: groups.edit(people.administrator, other, name=name, description="", most=quotas.NO_QUOTA),
    ):
        with pytest.raises(InvalidInput) as caught:
            change()
        assert list(caught.value.fields) == ["name"]
    groups.edit(people.administrator, other, name="other", description="kept", most=quotas.NO_QUOTA)


def test_members_are_added_all_or_none(people: People) -> None:
    group = make_group(people, "class", people.user)
    with refused(InvalidInput, "people.no_users_called", names=["ghost", "nobody"]):
        groups.add_members(people.administrator, group, "other nobody ghost")
    with refused(InvalidInput, "people.no_names"):
        groups.add_members(people.administrator, group, " ,; ")
    assert groups.members(people.operator, group).total == 1
    assert groups.add_members(people.administrator, group, "user other") == 1
    assert lines("add_members") == [("class", "user"), ("class", "other")]


def test_a_member_is_taken_out(people: People) -> None:
    group = make_group(people, "class", people.user)
    assert groups.remove_member(people.administrator, group, people.user.id) == people.user
    assert groups.members(people.operator, group).total == 0
    with pytest.raises(NotFound):
        groups.remove_member(people.administrator, group, people.user.id)
