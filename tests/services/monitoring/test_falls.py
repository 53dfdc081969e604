"""A clone that is off and ran: shut down, or fallen with its host, which may have been too fast to be seen down."""

from collections.abc import Sequence
from datetime import timedelta
from types import SimpleNamespace

import pytest
from flask import Flask
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.hypervisor.health import DomainState, NodeHealth
from ravada_web.messages import text
from ravada_web.models import Base, Clone, CloneState, Event, Node, Observed, OperationState, Role, now
from ravada_web.remote.sampling import Sample
from ravada_web.services.clones.batch import write_state
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.falls import fell
from ravada_web.services.monitoring.recording import record
from ravada_web.services.monitoring.rounds import begin
from ravada_web.services.operations.execution import end
from ravada_web.services.transaction import transaction
from tests.support.factories import POOL, change, make_base, make_nodes, make_operation, make_user

RUNNING, STOPPED, AWAY = CloneState.RUNNING, CloneState.STOPPED, CloneState.UNREACHABLE
OFF, ENDED, ON = DomainState("d", "stopped"), DomainState("d", "stopped", ended=True), DomainState("d", "running")


@pytest.mark.parametrize(
    ("state", "before", "moved", "seen", "boot", "fallen"),
    [
        (RUNNING, "", 4, OFF, "b", True),  # before its host was started
        (RUNNING, "", 5, OFF, "b", True),  # while that was seen
        (RUNNING, "", 6, OFF, "b", False),  # after it: libvirt alone was restarted
        (RUNNING, "", 4, ENDED, "b", False),  # its host was, and its user has shut it down since
        (RUNNING, "", 4, OFF, "", False),  # which start of the host this is, nobody knows
        (CloneState.PAUSED, "", 4, OFF, "b", True),
        (RUNNING, "", 4, ON, "b", False),  # the host's own libvirt has started it
        (STOPPED, RUNNING, 4, OFF, "b", False),
        (AWAY, RUNNING, 6, OFF, "b", True),
        (AWAY, RUNNING, 6, OFF, "", True),
        (AWAY, CloneState.STARTING, 6, OFF, "", True),
        (AWAY, RUNNING, 4, ENDED, "b", False),  # cut off, and shut down by its user meanwhile
        (AWAY, STOPPED, 4, OFF, "b", False),
        (AWAY, "", 4, OFF, "b", False),
    ],
)
def test_what_fell_and_what_was_shut_down(
    state: str, before: str, moved: int, seen: DomainState, boot: str, fallen: bool
) -> None:
    clone = SimpleNamespace(state=state, state_before=before, changed_round=moved)
    assert fell(clone, seen, Node(boot=boot, boot_round=5)) is fallen  # type: ignore[arg-type]


@pytest.fixture
def node_id(migrated_app: Flask) -> int:
    """A node that has been seen, with three clones that run: volatile ones."""
    (found,) = make_nodes(1)
    admin, owner = make_user("root", Role.ADMINISTRATOR), make_user("alice")
    request_clones(admin, Request(make_base([found]), 3, "desk", owner.name, volatile=True))
    change(Clone, state=RUNNING, started_at=now(), operation_id=None)
    see(found, [ON] * 3, "first.1")
    return found


def clones() -> Sequence[Clone]:
    db.session.rollback()
    return db.session.scalars(select(Clone).order_by(Clone.id)).all()


def states() -> list[str]:
    return [clone.state for clone in clones()]


def see(
    node_id: int, domains: Sequence[DomainState], boot: str, *, libvirt: bool = True, nologin: bool = False
) -> None:
    """A check has seen the host, in that start of it, and its clones so."""
    sample = Sample(0.5, 16384, 9000, {POOL: (1 << 36, 1 << 35)}, 0.0, nologin=nologin, boot=boot)
    health = NodeHealth({clone.uuid: seen for clone, seen in zip(clones(), domains, strict=True)}) if libvirt else None
    observed = Observed.UP if libvirt else Observed.DEGRADED
    record([Answer(node_id, observed, sample=sample, health=health, round=begin([node_id])[node_id])])


def die(node_id: int) -> None:
    record([Answer(node_id, Observed.DOWN, text("SSH does not answer."), round=begin([node_id])[node_id])])


def told() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(Event.action).where(Event.action == "rebooted")))


def test_those_of_a_host_that_was_too_fast_to_be_seen_down_are_started_and_it_is_told_once(node_id: int) -> None:
    see(node_id, [OFF] * 3, "second.1", libvirt=False)  # its SSH is there before its libvirt
    see(node_id, [OFF, ENDED, ON], "second.1")
    assert states() == [CloneState.STARTING, CloneState.DELETING, RUNNING]
    see(node_id, [OFF, OFF, ON], "second.1")
    assert told() == ["rebooted"]


def test_what_ends_in_the_same_start_of_its_host_was_shut_down(node_id: int) -> None:
    see(node_id, [ON] * 3, "second.1")
    change(Clone, changed_round=begin([node_id])[node_id])
    see(node_id, [OFF, ENDED, ON], "second.1")
    assert states() == [CloneState.DELETING, CloneState.DELETING, RUNNING]


def test_what_a_host_shuts_down_on_its_own_way_off_fell_with_it(node_id: int) -> None:
    see(node_id, [ENDED, ENDED, ON], "first.1", nologin=True)
    assert states() == [RUNNING] * 3
    see(node_id, [OFF] * 3, "second.1", nologin=True)
    see(node_id, [OFF] * 3, "second.1")
    assert states() == [CloneState.STARTING] * 3


def test_what_was_off_when_its_host_decided_to_stay_was_shut_down(node_id: int) -> None:
    see(node_id, [ENDED, ENDED, ON], "first.1", nologin=True)
    see(node_id, [ENDED, ENDED, ON], "first.1")
    assert states() == [CloneState.DELETING, CloneState.DELETING, RUNNING]


@pytest.mark.parametrize("again", [True, False])
def test_persistent_ones_are_started_where_their_base_says_so(node_id: int, again: bool) -> None:
    change(Clone, volatile=False)
    change(Base, restarts=again)
    see(node_id, [OFF, ENDED, ON], "second.1")
    assert states() == [CloneState.STARTING if again else STOPPED, STOPPED, RUNNING]


def failed_start(node_id: int, *clone_ids: int) -> None:
    """A start of these that fails now."""
    _fail(node_id, "clones_start", clone_ids, state=CloneState.STARTING, state_before=STOPPED)


def failed_stop(node_id: int, *clone_ids: int) -> None:
    """A forced stop of these that fails now."""
    _fail(node_id, "clones_stop", clone_ids, state=CloneState.STOPPING, state_before=RUNNING)


def _fail(node_id: int, kind: str, clone_ids: Sequence[int], **values: str) -> None:
    operation = make_operation(kind, state=OperationState.RUNNING, node_id=node_id)
    change(Clone, Clone.id.in_(clone_ids), operation_id=operation.id, **values)
    with transaction() as session:
        end(session, session.merge(operation), OperationState.FAILED, text("Not there."))


def test_a_volatile_one_that_could_not_start_says_why_and_is_not_thrown_away(node_id: int) -> None:
    first, second, _third = clones()
    failed_start(node_id, first.id)
    operation = make_operation("clones_start", state=OperationState.RUNNING, node_id=node_id)
    change(Clone, Clone.id == second.id, state="starting", state_before=STOPPED, operation_id=operation.id)
    with transaction() as session:
        write_state(session, operation.id, [second.id], STOPPED, text("No room."))
    begin([node_id])
    see(node_id, [ENDED, OFF, ON], "first.1")
    assert [(clone.state, str(clone.reason)) for clone in clones()] == [
        (STOPPED, "Not there."), (STOPPED, "No room."), (RUNNING, ""),
    ]  # fmt: skip
    # Started by hand, it has run after all, and ends.
    see(node_id, [ON, OFF, ON], "first.1")
    see(node_id, [ENDED, OFF, ON], "first.1")
    assert states() == [CloneState.DELETING, STOPPED, RUNNING]


@pytest.mark.parametrize("seen_down", [True, False])
def test_what_was_being_started_when_its_host_died_again_is_started_after_all(node_id: int, seen_down: bool) -> None:
    first, second, _third = clones()
    change(Node, last_seen_at=now() - timedelta(seconds=5))
    failed_start(node_id, first.id)
    change(Clone, Clone.id == second.id, state=STOPPED, started_at=None)
    if seen_down:
        die(node_id)
        assert [clone.state_before for clone in clones()] == [CloneState.STARTING, STOPPED, RUNNING]
    see(node_id, [OFF] * 3, "second.1")
    assert states() == [CloneState.STARTING, STOPPED, CloneState.STARTING]


@pytest.mark.parametrize("volatile", [True, False])
@pytest.mark.parametrize("seen_down", [True, False])
def test_what_was_being_forced_off_when_its_host_died_is_not_started_by_itself(
    node_id: int, seen_down: bool, volatile: bool
) -> None:
    change(Clone, volatile=volatile)
    change(Base, restarts=True)
    first, *_others = clones()
    change(Node, last_seen_at=now() - timedelta(seconds=5))
    failed_stop(node_id, first.id)
    assert states() == [RUNNING] * 3
    if seen_down:
        die(node_id)
    see(node_id, [OFF] * 3, "second.1")
    assert states() == [CloneState.DELETING if volatile else STOPPED, CloneState.STARTING, CloneState.STARTING]
