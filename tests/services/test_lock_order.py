"""Locks are taken in one order, on PostgreSQL: nobody holds one row while waiting for another that comes before it."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.hypervisor.health import DomainState, NodeHealth
from ravada_web.models import Clone, CloneState, Event, Node, Observed, Operation, OperationState, Role, User
from ravada_web.services.audit import events
from ravada_web.services.audit.verification import Fault, verify
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.recording import record
from ravada_web.services.monitoring.rounds import begin
from ravada_web.services.people import users
from ravada_web.services.transaction import hold_rows, transaction
from tests.support.factories import change, make_base, make_nodes, make_user
from tests.support.races import somebody_waits
from tests.support.servers import wait_until

pytestmark = [
    pytest.mark.parametrize("database_url", ["postgresql"], indirect=True),
    pytest.mark.usefixtures("migrated_app"),
]
Elsewhere = Callable[[Callable[[], object]], Future[object]]


@pytest.fixture
def elsewhere(migrated_app: Flask) -> Iterator[Elsewhere]:
    """Does something in a thread with sessions of its own."""

    def do(act: Callable[[], object]) -> object:
        with migrated_app.app_context():
            try:
                return act()
            finally:
                db.session.remove()

    with ThreadPoolExecutor(2) as threads:
        yield lambda act: threads.submit(do, act)


def note(session: Session, node_id: int) -> None:
    """What a check does: a change of a node's row and a line about it."""
    node = session.get_one(Node, node_id)
    node.good_checks += 1
    events.record(session, None, "observed", node, f"node {node_id}")
    session.flush()


def test_nobody_holds_the_end_of_the_log_while_waiting_for_a_row(elsewhere: Elsewhere) -> None:
    first, second = make_nodes(2)

    def other() -> None:
        with transaction() as session:
            note(session, second)

    with transaction() as session:
        note(session, first)
        elsewhere(other).result(30)  # whose line is written first, though ours was added before
        note(session, second)
    lines = [str(row) for row in db.session.scalars(select(Event.text).order_by(Event.id))][-3:]
    assert lines == [f"node {second}", f"node {first}", f"node {second}"]
    assert verify().fault == Fault.NONE


def test_a_check_of_several_nodes_locks_their_clones_as_peoples_actions_do(elsewhere: Elsewhere) -> None:
    chief = make_user("chief", Role.ADMINISTRATOR)
    request_clones(chief, Request(make_base(make_nodes(2)), 4, "pc", "chief"))
    change(Operation, state=OperationState.DONE)
    change(Clone, state=CloneState.STOPPED)
    ids = db.session.scalars(select(Clone.id).order_by(Clone.id)).all()
    # The nodes' order is not that of their clones.
    change(Clone, Clone.id.in_(ids[:2]), node_id=2)
    change(Clone, Clone.id.in_(ids[2:]), node_id=1)
    domains = {row.uuid: DomainState(row.name, "running") for row in db.session.scalars(select(Clone))}
    numbers = begin([1, 2])
    answers = [Answer(node, Observed.UP, round=numbers[node], health=NodeHealth(domains)) for node in (1, 2)]
    db.session.rollback()
    with transaction() as session:
        hold_rows(session, Clone, ids[:1])
        written = elsewhere(lambda: record(answers))
        wait_until(lambda: written.done() or somebody_waits(), 30, "the check waits for us")
        session.execute(select(Clone.id).where(Clone.id == ids[3]).with_for_update(nowait=True))
    written.result(30)
    assert db.session.scalars(select(Clone.state)).all() == [CloneState.RUNNING] * 4


def test_of_two_administrators_who_switch_each_other_off_the_second_is_told(
    elsewhere: Elsewhere, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [make_user(name, Role.ADMINISTRATOR).id for name in ("anna", "bert")]
    meeting, real = threading.Barrier(2), users.why_stays

    def why_stays(*args: object) -> object:
        found = real(*args)  # type: ignore[arg-type]
        with suppress(threading.BrokenBarrierError):  # both have looked, if both can look at once
            meeting.wait(1)
        return found

    monkeypatch.setattr(users, "why_stays", why_stays)

    def switch_off(actor: int, user: int) -> Callable[[], object]:
        return lambda: users.deactivate(db.session.get_one(User, actor), db.session.get_one(User, user))

    both = [elsewhere(switch_off(*pair)) for pair in (ids, ids[::-1])]
    errors = [error for one in both if (error := one.exception(30))]
    assert [type(error) for error in errors] == [Conflict]
    assert db.session.scalars(select(User.active)).all().count(True) == 1
