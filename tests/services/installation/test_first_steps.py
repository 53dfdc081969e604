"""The first steps: each is done by what the rows say, and looking costs one query however much there is."""

import pytest
from sqlalchemy import delete, event

from ravada_web.extensions import db
from ravada_web.models import AllowedNode, Base, BaseState, User
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.installation import first_steps
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import change, make_base, make_nodes, make_offer


def done() -> tuple[bool, ...]:
    db.session.rollback()
    return first_steps.read().done


def test_an_empty_installation_has_all_before_it(people: People) -> None:
    with transaction() as session:
        session.execute(delete(User).where(User.name != "administrator"))
    assert done() == (False, False, False, False, False)
    assert first_steps.read().next == 0


def test_step_by_step(people: People) -> None:
    nodes = make_nodes(3)
    assert done() == (True, False, False, False, True)
    base = make_base(nodes[:1])
    change(Base, state=BaseState.IMPORTED)
    assert (first_steps.read().base_id, first_steps.read().next) == (base, 1)
    change(Base, state=BaseState.READY)
    assert done() == (True, True, False, False, True)
    with transaction() as session:
        session.add(AllowedNode(base_id=base, node_id=nodes[1]))
    assert done() == (True, True, True, False, True)
    request_clones(people.administrator, Request(base, 1, "desk", people.user.name))
    assert done() == (True, True, True, True, True)
    assert first_steps.read().next is None


def test_one_node_is_enough_where_there_is_one(people: People) -> None:
    make_base(make_nodes(1))
    assert done() == (True, True, True, False, True)


@pytest.mark.parametrize("to_all", [True, False])
def test_an_offer_is_as_good_as_clones(people: People, to_all: bool) -> None:
    base = make_base(make_nodes(1))
    change(Base, offered_to_all=to_all)
    if not to_all:
        make_offer(base, people.user)
    assert first_steps.read().next is None


def test_the_base_that_has_come_farthest_counts(people: People) -> None:
    nodes = make_nodes(1)
    ready = make_base(nodes)
    make_base(nodes, name="newer")
    change(Base, Base.id != ready, state=BaseState.FAILED)
    found = first_steps.read()
    assert (found.base_id, found.prepared) == (ready, True)


def test_looking_is_one_query(people: People) -> None:
    make_base(make_nodes(3))
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        first_steps.read()
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    assert len([statement for statement in seen if statement.startswith("SELECT")]) == 1
