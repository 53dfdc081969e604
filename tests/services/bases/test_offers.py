"""Offers: to whom a base is offered, that it takes one query, and what an administrator sets."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from flask import Flask
from sqlalchemy import delete, event, select, update

from ravada_web.errors import InvalidInput, NotAllowed, NotFound
from ravada_web.extensions import db
from ravada_web.models import AllowedNode, Base, BaseOffer, BaseState, Event, User
from ravada_web.services.bases import offers
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import make_base, make_group, make_nodes

NOBODY = {
    "to_all": False,
    "group_ids": (),
    "user_ids": (),
    "volatile": False,
    "users_may_delete": False,
    "users_may_refuse": False,
    "remakes": True,
    "restarts": False,
}


@pytest.fixture
def base_id(people: People) -> int:
    """A base that is ready and offered to nobody."""
    return make_base(make_nodes(2))


def offer(people: People, base_id: int, **changes: object) -> Base:
    base = db.session.get_one(Base, base_id)
    offers.set_offers(people.administrator, base, **NOBODY | changes)  # type: ignore[arg-type]
    return base


def names(user: User) -> list[str]:
    return [base.name for base in offers.offered(user)]


@contextmanager
def counted(app: Flask) -> Iterator[list[str]]:
    """The statements that are sent inside."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        sent.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def test_nobody_is_offered_what_is_not_offered(people: People, base_id: int) -> None:
    assert names(people.user) == names(people.administrator) == []
    with pytest.raises(NotFound):
        offers.require_offered(db.session(), people.user, base_id)


def test_to_everybody(people: People, base_id: int) -> None:
    offer(people, base_id, to_all=True)
    assert names(people.user) == names(people.other) == ["linux"]
    assert offers.require_offered(db.session(), people.user, base_id).id == base_id


def test_to_a_group_is_to_its_members_alone(people: People, base_id: int) -> None:
    offer(people, base_id, group_ids=[make_group("class", people.user).id])
    assert (names(people.user), names(people.other)) == (["linux"], [])


def test_to_a_user_is_to_nobody_else(people: People, base_id: int) -> None:
    offer(people, base_id, user_ids=[people.other.id])
    assert (names(people.user), names(people.other)) == ([], ["linux"])


def test_whoever_is_offered_it_in_three_ways_sees_it_once(people: People, base_id: int) -> None:
    groups = [make_group("one", people.user).id, make_group("two", people.user).id]
    offer(people, base_id, to_all=True, group_ids=groups, user_ids=[people.user.id])
    assert names(people.user) == ["linux"]


def test_one_without_a_node_or_not_ready_is_not_offered(people: People, base_id: int) -> None:
    offer(people, base_id, to_all=True)
    with transaction() as session:
        session.execute(update(Base).values(state=BaseState.PREPARING))
    assert names(people.user) == []
    with transaction() as session:
        session.execute(update(Base).values(state=BaseState.READY))
        session.execute(delete(AllowedNode))
    assert names(people.user) == []


def test_they_come_by_name_in_one_query_however_many(app: Flask, people: People, base_id: int) -> None:
    nodes = list(db.session.scalars(select(AllowedNode.node_id)))
    ids = [make_base(nodes, name=f"base {number:02}") for number in range(30, 0, -1)]
    group = make_group("class", people.user).id
    for number, each in enumerate(ids):
        offer(people, each, to_all=number % 3 == 0, group_ids=[group], user_ids=[people.user.id])
    user_id = people.user.id
    assert user_id
    with counted(app) as sent:
        found = offers.offered(people.user)
    assert [base.name for base in found] == [f"base {number:02}" for number in range(1, 31)]
    assert len([statement for statement in sent if statement.startswith("SELECT")]) == 1


def test_what_is_set_replaces_what_was_and_leaves_the_rest(people: People, base_id: int) -> None:
    group = make_group("class").id
    offer(people, base_id, group_ids=[group], user_ids=[people.user.id], volatile=True, users_may_delete=True)
    kept = db.session.scalars(select(BaseOffer.id).where(BaseOffer.group_id == group)).one()
    base = offer(people, base_id, group_ids=[group], user_ids=[people.other.id], users_may_refuse=True)
    rows = db.session.scalars(select(BaseOffer).order_by(BaseOffer.id)).all()
    assert {(row.group_id, row.user_id) for row in rows} == {(group, None), (None, people.other.id)}
    assert kept in {row.id for row in rows}
    assert (base.offers_volatile, base.users_may_delete, base.users_may_refuse) == (False, False, True)


def test_it_is_written_down_for_whom(people: People, base_id: int) -> None:
    offer(people, base_id, to_all=True, group_ids=[make_group("class").id], user_ids=[people.user.id, people.other.id])
    line = db.session.scalars(select(Event).where(Event.action == "offer")).one()
    assert (line.actor, line.object_name, str(line.text)) == (
        "administrator",
        "linux",
        "everyone, 1 group, and 2 users",
    )


@pytest.mark.parametrize(("changes", "field"), [({"group_ids": [99]}, "groups"), ({"user_ids": [99]}, "users")])
def test_to_somebody_who_does_not_exist_is_refused(
    people: People, base_id: int, changes: dict[str, list[int]], field: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        offer(people, base_id, to_all=True, **changes)
    assert list(refused.value.fields) == [field]
    assert names(people.user) == []


def test_only_who_may_change_bases_offers_them(people: People, base_id: int) -> None:
    base = db.session.get_one(Base, base_id)
    for actor in (people.user, people.operator):
        with pytest.raises(NotAllowed):
            offers.set_offers(actor, base, **NOBODY | {"to_all": True})  # type: ignore[arg-type]
    assert names(people.user) == []
