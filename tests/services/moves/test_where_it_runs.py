"""Where a guest is whose move has begun: at the source, at the target, or nobody knows. It is one guest whatever of
both nodes answers. The rule alone, then on libvirt's own test driver, on SQLite and PostgreSQL."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import libvirt
import pytest
from flask import Flask
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.hypervisor import domains, migration
from ravada_web.hypervisor.errors import HypervisorUnreachable
from ravada_web.hypervisor.health import DomainState, NodeHealth
from ravada_web.hypervisor.migration import Presence
from ravada_web.models import (
    OVER,
    Away,
    Cause,
    Clone,
    CloneState,
    Node,
    Observed,
    Operation,
    OperationState,
    Remains,
    Role,
    ServiceState,
    User,
)
from ravada_web.platforms import Host
from ravada_web.remote import passage
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.recording import record
from ravada_web.services.monitoring.rounds import begin
from ravada_web.services.moves import live_work, move_work, requests, work
from ravada_web.services.moves.live_work import Found, found
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations import execution
from ravada_web.services.operations import requests as operation_requests
from ravada_web.services.operations.subjects import MOVED_CLONE
from tests.support.factories import FACTS, change, make_base, make_nodes, make_user

NONE, INCOMING, OFF, PAUSED, RUNNING = Presence
SEEN = [*Presence, None]


@pytest.mark.parametrize(("source", "target"), list(product(SEEN, SEEN)))
def test_one_that_may_run_there_is_never_taken_for_being_here(source: Presence | None, target: Presence | None) -> None:
    where = found(source, target)
    ran_there = target in (OFF, PAUSED, RUNNING)
    assert (where == Found.BOTH) == (ran_there and source == RUNNING)
    assert (where == Found.THERE) == (ran_there and source != RUNNING)
    if target is None:
        assert where == (Found.HERE if source == RUNNING else Found.UNKNOWN)
    if target in (NONE, INCOMING):
        assert where == Found.HERE


XML = """<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>65536</memory>
<os><type machine='pc-q35-7.2'>hvm</type></os><devices>
<disk type='file' device='disk'><source file='/disk'/><target dev='vda' bus='virtio'/></disk>
</devices></domain>"""
HOST = Host("x86_64", "qemu", frozenset({"pc-q35-7.2"}), frozenset({"qemu64"}))
one = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


class Sides:
    """The libvirts of n1 and n2; `silent` are those that do not answer, `hushed` those that answer so
    many times more."""

    def __init__(self, folder: Path) -> None:
        host = folder / "host.xml"
        host.write_text("<node><network><name>default</name></network></node>")
        self.of = {name: libvirt.open(f"test://{host}") for name in ("n1", "n2")}
        self.silent: set[str] = set()
        self.hushed: dict[str, int] = {}

    @contextmanager
    def connected(self, uri: str, **_bounds: object) -> Iterator[libvirt.virConnect]:
        left = self.hushed.get(uri)
        if left is not None:
            self.hushed[uri] = left - 1
        if uri in self.silent or (left is not None and left < 1):
            raise HypervisorUnreachable("It does not answer.")
        yield self.of[uri]

    def put(self, name: str, presence: Presence) -> None:
        """Have the domain stand so on a node."""
        row = desk()
        xml = XML.format(name=row.name, uuid=row.uuid)
        if presence in (NONE, INCOMING):
            if presence == INCOMING:
                self.of[name].createXML(xml).suspend()
            return
        domain = self.of[name].defineXML(xml)
        if presence != OFF:
            domain.create()
        if presence == PAUSED:
            domain.suspend()

    def seen(self, name: str) -> Presence:
        return migration.presence(self.of[name], desk().uuid)


@pytest.fixture
def chief(migrated_app: Flask) -> User:
    """An administrator, and desk-1 of theirs, which runs on n1."""
    user = make_user("chief", Role.ADMINISTRATOR)
    base = make_base(make_nodes(2))
    facts = FACTS.to_dict() | {"virt_type": "qemu"}
    change(Node, local=True, facts=facts, platform=HOST.to_dict(), platform_digest=HOST.digest)
    change(Node, Node.name == "n2", service_state=ServiceState.DISABLED)
    request_clones(user, Request(base, 1, "desk", user.name))
    change(Node, Node.name == "n2", service_state=ServiceState.ENABLED)
    change(Clone, state=CloneState.RUNNING, virt_type="qemu", machine="pc-q35-7.2", processor="qemu64", display="/a")
    change(Operation, state=OperationState.DONE)
    return user


@pytest.fixture
def sides(chief: User, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sides]:
    made = Sides(tmp_path)
    monkeypatch.setattr(endpoints, "libvirt_uri", lambda where: where.name)
    monkeypatch.setattr(live_work, "open_connection", made.connected)
    monkeypatch.setattr(domains, "_REMOVE_FLAGS", 0)  # the test driver knows none of them
    monkeypatch.setattr(passage, "close", lambda *_given: None)  # there are no sockets
    yield made
    for connection in made.of.values():
        connection.close()


def desk() -> Clone:
    db.session.rollback()
    return db.session.scalars(select(Clone)).one()


def node(name: str) -> Node:
    db.session.rollback()
    return db.session.scalars(select(Node).where(Node.name == name)).one()


def begun(chief: User) -> Operation:
    """A move that has begun, and whose worker was killed."""
    asked = requests.request_move(chief, desk().id, node("n2").id, live=True)
    xml = XML.format(name=desk().name, uuid=desk().uuid)
    again: dict[str, Any] = {"looks_only": True, **asked.params}
    change(Operation, Operation.id == asked.id, result={"begun": True, "xml": xml}, params=again)
    return asked


def run(operation: Operation) -> Operation:
    db.session.rollback()
    row = db.session.get_one(Operation, operation.id)
    execution.run(row.id, row.attempt, work.move)
    db.session.rollback()
    return db.session.get_one(Operation, operation.id)


def left() -> dict[str, str]:
    db.session.rollback()
    return {row.node.name: row.cause for row in db.session.scalars(select(Remains))}


@pytest.mark.parametrize("target", [NONE, INCOMING])
@pytest.mark.parametrize("source", [RUNNING, PAUSED])
def test_it_goes_on_where_it_was_and_what_waited_for_it_is_gone(
    chief: User, sides: Sides, source: Presence, target: Presence
) -> None:
    operation = begun(chief)
    sides.put("n1", source)
    sides.put("n2", target)
    done = run(operation)
    assert (done.state, done.error.kind, done.result) == (OperationState.FAILED, "moves.stays", {})
    assert (sides.seen("n1"), sides.seen("n2")) == (RUNNING, NONE)
    assert (desk().state, desk().node.name, desk().display, left()) == ("running", "n1", "/a", {"n2": Cause.MOVED})


@pytest.mark.parametrize("source", [NONE, OFF, PAUSED])
@pytest.mark.parametrize("target", [RUNNING, PAUSED, OFF])
def test_it_is_where_it_went_and_what_it_was_is_gone(
    chief: User, sides: Sides, source: Presence, target: Presence
) -> None:
    operation = begun(chief)
    sides.put("n1", source)
    sides.put("n2", target)
    assert run(operation).state == OperationState.DONE
    assert (sides.seen("n1"), sides.seen("n2")) == (NONE, target)
    state = {RUNNING: "running", PAUSED: "paused", OFF: "stopped"}[target]
    assert (desk().state, desk().node.name, left()) == (state, "n2", {"n1": Cause.MOVED})
    assert desk().decision is not None and desk().decision.why.kind == "moves.note"


@one
def test_a_source_that_died_after_it_went_is_cleaned_up_later(chief: User, sides: Sides) -> None:
    operation = begun(chief)
    sides.put("n2", RUNNING)
    sides.silent = {"n1"}
    assert run(operation).state == OperationState.DONE
    assert (desk().state, desk().node.name, left()) == ("running", "n2", {"n1": Cause.MOVED})


@one
def test_a_target_that_died_while_it_still_ran_here_changes_nothing(chief: User, sides: Sides) -> None:
    operation = begun(chief)
    sides.put("n1", RUNNING)
    sides.silent = {"n2"}
    assert run(operation).error.kind == "moves.stays"
    assert (desk().state, desk().node.name, left()) == ("running", "n1", {"n2": Cause.MOVED})


@one
def test_paused_here_it_waits_for_the_target_which_may_run_it(chief: User, sides: Sides) -> None:
    operation = begun(chief)
    sides.put("n1", PAUSED)
    sides.put("n2", RUNNING)
    sides.silent = {"n2"}
    waits = run(operation)
    assert (waits.state, waits.message.kind) == (OperationState.WATCHED, "moves.looks")
    operation_requests.cancel(chief, [operation.id])  # nothing can be said of it all the same
    change(Node, observed=Observed.DOWN)
    go_on(operation)
    assert (desk().state, left(), sides.seen("n1")) == ("moving", {"n2": Cause.ARRIVING}, PAUSED)
    change(Node, observed=Observed.UP)
    sides.silent = set()
    go_on(operation)
    assert run(operation).state == OperationState.DONE
    assert (desk().state, desk().node.name, sides.seen("n1")) == ("running", "n2", NONE)


@one
def test_paused_here_it_goes_on_once_the_target_is_known_to_be_off(chief: User, sides: Sides) -> None:
    operation = begun(chief)
    sides.put("n1", PAUSED)
    sides.silent = {"n2"}
    assert run(operation).state == OperationState.WATCHED
    change(Node, Node.name == "n2", observed=Observed.DOWN, away=Away.OFF)
    go_on(operation)
    assert run(operation).error.kind == "moves.stays"
    assert (desk().state, desk().node.name, sides.seen("n1")) == ("running", "n1", RUNNING)


@one
def test_running_on_both_it_is_left_to_a_person(chief: User, sides: Sides) -> None:
    operation = begun(chief)
    sides.put("n1", RUNNING)
    sides.put("n2", RUNNING)
    waits = run(operation)
    assert (waits.state, waits.message.kind) == (OperationState.WATCHED, "moves.both")
    assert (sides.seen("n1"), sides.seen("n2")) == (RUNNING, RUNNING)
    sides.of["n1"].lookupByUUIDString(desk().uuid).destroy()
    go_on(operation)
    assert run(operation).state == OperationState.DONE
    assert (desk().node.name, sides.seen("n1")) == ("n2", NONE)


@one
def test_one_whose_operation_ended_too_soon_is_looked_for(chief: User, sides: Sides) -> None:
    operation = begun(chief)
    sides.put("n1", NONE)
    sides.put("n2", RUNNING)
    operation_requests.cancel(chief, [operation.id])
    assert (desk().state, left()) == ("moving", {"n2": Cause.ARRIVING}), "nothing is ended before it is known"
    go_on(operation)
    assert run(operation).state == OperationState.DONE
    assert (desk().state, desk().node.name) == ("running", "n2")


@one
def test_a_target_that_goes_silent_as_it_comes_has_the_rest_done_once_it_answers(chief: User, sides: Sides) -> None:
    operation = begun(chief)
    sides.put("n2", RUNNING)
    sides.hushed = {"n2": 2}  # where it is, and its display, are still told
    waits = run(operation)
    assert (waits.state, waits.result) == (OperationState.WATCHED, {"arrived": 2})
    assert (desk().state, desk().node.name) == ("running", "n2"), "it is in use at once"
    sides.hushed = {}
    go_on(operation)
    done = run(operation)
    assert (done.state, done.result, desk().state) == (OperationState.DONE, {}, "running")


@one
def test_a_worker_that_dies_as_it_comes_has_the_rest_done_by_the_next(chief: User, sides: Sides) -> None:
    operation = begun(chief)
    sides.put("n2", RUNNING)
    sides.hushed = {"n2": 2}
    run(operation)
    change(Operation, Operation.id == operation.id, state=OperationState.WAITING, attempt=Operation.attempt + 1)
    sides.hushed = {}
    done = run(operation)
    assert (done.state, done.result, desk().node.name) == (OperationState.DONE, {}, "n2")


@one
def test_a_target_that_says_nothing_more_does_not_hold_the_move_for_ever(chief: User, sides: Sides) -> None:
    operation = begun(chief)
    sides.put("n2", RUNNING)
    sides.hushed = {"n2": 2}
    for _look in range(MOVED_CLONE.MOST_LOOKS - 1):
        assert run(operation).state == OperationState.WATCHED
        go_on(operation)
    assert (run(operation).state, desk().state) == (OperationState.DONE, "running")


@one
@pytest.mark.parametrize("target", [NONE, INCOMING])
def test_cut_off_in_the_moment_of_the_switch_it_goes_on_as_soon_as_its_node_answers(
    chief: User, sides: Sides, target: Presence
) -> None:
    operation = begun(chief)
    sides.put("n1", PAUSED)
    sides.put("n2", target)
    sides.silent = {"n1"}
    assert run(operation).state == OperationState.WATCHED
    assert sides.seen("n2") == NONE
    # From here on it is known where it is, whatever the target says, or does not.
    sides.silent = {"n2"}
    go_on(operation)
    assert run(operation).error.kind == "moves.stays"
    assert (desk().state, desk().node.name, sides.seen("n1")) == ("running", "n1", RUNNING)


@pytest.mark.parametrize("target", [NONE, INCOMING])
def test_cut_off_for_long_it_goes_on_once_its_node_is_back(chief: User, sides: Sides, target: Presence) -> None:
    operation = begun(chief)
    sides.put("n1", PAUSED)
    sides.put("n2", target)
    sides.silent = {"n1"}
    change(Node, Node.name == "n1", observed=Observed.DOWN)
    assert run(operation).error.kind == "moves.stays"
    assert (desk().state, left()) == ("running", {"n2": Cause.MOVED}), "nothing waits for a node that is down"
    checked("n1", None)
    assert desk().state == "unreachable"
    assert not move_work.due()
    sides.silent = set()
    checked("n1", "paused")
    assert desk().state_in_use == "running"
    go_on(operation)
    assert (run(operation).error.kind, db.session.get_one(Operation, operation.id).result) == ("moves.stays", {})
    assert (desk().state, desk().node.name, sides.seen("n1")) == ("running", "n1", RUNNING)
    checked("n1", "running")
    assert not move_work.due()


def test_its_node_is_back_just_as_the_move_ends_for_it_was_down(
    chief: User, sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = begun(chief)
    sides.put("n1", PAUSED)
    sides.silent = {"n1"}
    change(Node, Node.name == "n1", observed=Observed.DOWN)
    end = execution.end

    def back_first(*given: Any) -> None:
        checked("n1", "paused")
        end(*given)

    monkeypatch.setattr(execution, "end", back_first)
    assert run(operation).error.kind == "moves.stays"
    monkeypatch.undo()
    assert desk().state_in_use == "running" and desk().state == "moving"


@one
def test_one_that_its_user_has_taken_up_meanwhile_is_left(chief: User, sides: Sides) -> None:
    operation = begun(chief)
    sides.silent = {"n1"}
    change(Node, Node.name == "n1", observed=Observed.DOWN)
    assert run(operation).error.kind == "moves.stays"
    change(Clone, operation_id=None)
    checked("n1", "paused")
    assert desk().state == "paused"


@one
def test_a_node_that_says_no_for_long_does_not_hold_the_move_for_ever(chief: User, sides: Sides) -> None:
    operation = begun(chief)
    sides.silent = {"n1"}
    for _look in range(MOVED_CLONE.MOST_LOOKS - 1):
        assert run(operation).state == OperationState.WATCHED
        go_on(operation)
    assert run(operation).error.kind == "moves.stays"


def checked(name: str, state: str | None) -> None:
    """A check has seen the desktop so on a node; None: the node does not answer."""
    row, seen = node(name), desk()
    health = NodeHealth({seen.uuid: DomainState(seen.name, state)}) if state else None
    observed = Observed.UP if state else Observed.DOWN
    record([Answer(row.id, observed, health=health, round=begin([row.id])[row.id])])


def go_on(operation: Operation) -> None:
    """What waits is looked at again, some time later."""
    change(Operation, Operation.id == operation.id, watched_from=None)
    change(Operation, Operation.id == operation.id, Operation.state.in_(OVER), finished_at=None)
    (ids,) = move_work.due()
    move_work.go_on(ids)
