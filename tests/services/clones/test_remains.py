"""Clones end while their node is away: nothing of them lives again when it returns. On libvirt's own test driver, on
SQLite and PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest
from flask import Flask
from sqlalchemy import func, select

from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.hypervisor import domains
from ravada_web.hypervisor.connection import open_connection
from ravada_web.hypervisor.errors import HypervisorError
from ravada_web.hypervisor.health import DomainState, NodeHealth
from ravada_web.hypervisor.marks import Mark, marked
from ravada_web.models import (
    Base,
    Cause,
    Clone,
    CloneNic,
    CloneState,
    Event,
    Node,
    Observed,
    Operation,
    OperationState,
    Pool,
    Remains,
    Replica,
    Role,
    User,
)
from ravada_web.placement.starting import unserved
from ravada_web.services.clones import actions, deletion_work, remains, return_work
from ravada_web.services.clones.requests import Request, free_macs, free_names, request_clones
from ravada_web.services.lifecycle import orphan_work, orphans, removal
from ravada_web.services.monitoring import examination
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.questions import question_of, questions_of
from ravada_web.services.monitoring.recording import record
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations import execution
from ravada_web.services.people import quotas
from ravada_web.services.placements.loads import starting_states
from ravada_web.services.transaction import transaction
from tests.support.factories import change, make_base, make_nodes, make_user

XML = (
    "<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>65536</memory><os><type>hvm</type></os></domain>"
)

# What is not about rows that two may want at once is shown on one database.
one = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def chief(migrated_app: Flask) -> User:
    return make_user("chief", Role.ADMINISTRATOR)


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    """The node's pool, a folder of this host."""
    folder = tmp_path / "pool"
    folder.mkdir()
    return folder


@pytest.fixture
def desks(chief: User, pool: Path) -> list[int]:
    """Two desktops, desk-1 and desk-2, on a node that is down; a folder of this host is its pool."""
    nodes = make_nodes(1)
    request_clones(chief, Request(make_base(nodes), 2, "desk", chief.name))
    change(Clone, state=CloneState.UNREACHABLE)
    change(Operation, state=OperationState.DONE)
    change(Replica, directory=str(pool))
    change(Node, observed=Observed.DOWN, local=True)
    for row in db.session.scalars(select(Clone)).all():
        (pool / row.disk_file("vda")).write_text("a disk")
    return list(db.session.scalars(select(Clone.id).order_by(Clone.id)))


@pytest.fixture
def host(desks: list[int], monkeypatch: pytest.MonkeyPatch) -> Iterator[libvirt.virConnect]:
    """That node's libvirt, on which both desktops run."""
    monkeypatch.setattr(endpoints, "libvirt_uri", lambda _where: "test:///default")
    monkeypatch.setattr(domains, "_REMOVE_FLAGS", 0)  # the test driver knows none of them
    uuids = dict(db.session.execute(select(Clone.name, Clone.uuid)).all())
    with open_connection("test:///default") as connection:
        domains.define_all(connection, [XML.format(name=name, uuid=uuid) for name, uuid in uuids.items()])
        for uuid in uuids.values():
            domains.start(connection, uuid)
        yield connection
        for uuid in uuids.values():
            domains.force_off(connection, uuid)
            domains.undefine(connection, uuid)


def node() -> Node:
    db.session.rollback()
    return db.session.scalars(select(Node)).one()


def left() -> dict[str, Remains]:
    db.session.rollback()
    return {row.name: row for row in db.session.scalars(select(Remains).order_by(Remains.id))}


def returns(connection: libvirt.virConnect | None = None, *, number: int = 1) -> None:
    """The node's check sees it up, with its domains as they stand."""
    seen = domains.existing(connection) if connection else {}
    health = NodeHealth({uuid: DomainState(name, "running") for uuid, name in seen.items()})
    record([Answer(node().id, Observed.UP, health=health, round=number)])


def to_do() -> list[Operation]:
    db.session.rollback()
    query = select(Operation).where(Operation.kind == remains.KIND, Operation.state == OperationState.WAITING)
    return list(db.session.scalars(query))


def reconcile() -> Operation:
    (operation,) = to_do()
    execution.run(operation.id, operation.attempt, return_work.reconcile)
    db.session.rollback()
    return db.session.get_one(Operation, operation.id)


def test_deleted_while_its_node_is_away_it_is_gone_from_everywhere_and_noted(chief: User, desks: list[int]) -> None:
    row = db.session.get_one(Clone, desks[0])
    uuid, disk, macs = row.uuid, row.disk_file("vda"), [nic.mac for nic in row.nics]
    outcome = actions.delete(chief, [desks[0]])
    assert [one.name for one in outcome.done] == ["desk-1"] and not outcome.skipped
    assert db.session.scalars(select(Clone.name)).all() == ["desk-2"]
    assert quotas.used_by(chief).clones == 1
    (kept,) = left().values()
    assert (kept.uuid, kept.cause, kept.owner_name, kept.base_name) == (uuid, Cause.DELETED, "chief", "linux")
    assert [Path(path).name for path in kept.files] == [disk] and kept.macs == macs
    assert not db.session.scalars(select(CloneNic).where(CloneNic.clone_id == desks[0])).all()
    event = db.session.scalars(select(Event).where(Event.action == "delete")).one()
    assert (event.object_name, event.actor) == ("desk-1", "chief")


@one
def test_its_name_is_free_again_and_its_mac_address_is_not(
    chief: User, desks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    actions.delete(chief, desks)
    (mac, *_others) = left()["desk-1"].macs
    drawn = iter([mac, "52:54:00:00:00:01"])
    monkeypatch.setattr("ravada_web.services.clones.requests._mac", lambda: next(drawn))
    with transaction() as session:
        assert free_macs(session, 1) == ["52:54:00:00:00:01"]
        assert free_names(session, "desk", 1) == ["desk-1"]


def test_a_return_with_a_double_is_closed_until_that_is_gone(
    chief: User, desks: list[int], host: libvirt.virConnect, pool: Path
) -> None:
    survivor = db.session.get_one(Clone, desks[1]).disk_file("vda")
    actions.delete(chief, [desks[0]])
    returns(host)
    assert (node().observed, node().why.kind) == (Observed.DEGRADED, "nodes.returning")
    reason = unserved(starting_states(db.session(), [node()])[node().id])
    assert reason is not None and reason.code == "not_up"
    listed = db.session.scalars(select(func.count()).select_from(Node).where(Node.observed == Observed.UP)).one()
    assert listed == 0, "the database says the same as the row"
    assert db.session.get_one(Clone, desks[1]).state == CloneState.RUNNING, "a survivor is seen as it is"
    assert reconcile().state == OperationState.DONE
    assert node().observed == Observed.UP and not left()
    assert "desk-1" not in domains.existing(host).values() and "desk-2" in domains.existing(host).values()
    assert [path.name for path in pool.iterdir()] == [survivor]
    assert db.session.scalars(select(Event.action).where(Event.action == "returned")).all() == ["returned"]


@one
def test_the_first_contact_ends_a_double_before_anything_is_read(
    chief: User, desks: list[int], host: libvirt.virConnect, monkeypatch: pytest.MonkeyPatch
) -> None:
    double = db.session.get_one(Clone, desks[0]).uuid
    actions.delete(chief, [desks[0]])
    question = question_of(node(), 1, [], (), False)
    questions, _unasked = questions_of([node()], {node().id: 1}, {})
    assert questions[0].doomed == {double} and question.doomed == frozenset()
    answer = Answer(node().id, Observed.UP)
    examination.query_libvirt(questions[0], answer, endpoints.workspace())
    assert answer.health is not None
    assert answer.health.domains[double].state == "stopped"
    assert sum(seen.state == "running" for name, seen in answer.health.domains.items() if name != double) >= 1


@one
def test_a_double_that_cannot_be_ended_keeps_its_node_from_being_up(
    chief: User, desks: list[int], host: libvirt.virConnect, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_connection: object, _uuids: object) -> None:
        raise HypervisorError("it hangs")

    actions.delete(chief, [desks[0]])
    monkeypatch.setattr(domains, "end_all", refuse)
    questions, _unasked = questions_of([node()], {node().id: 1}, {})
    answer = Answer(node().id, Observed.UP)
    examination.query_libvirt(questions[0], answer, endpoints.workspace())
    assert (answer.observed, answer.reason.kind) == (Observed.DEGRADED, "nodes.double_runs")


@one
def test_interrupted_at_every_step_it_is_done_by_the_next_attempt(
    chief: User, desks: list[int], host: libvirt.virConnect, pool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    actions.delete(chief, desks)
    returns(host)
    (operation,) = to_do()
    for step, name in enumerate(["end_all", "force_off", "undefine"]):
        with monkeypatch.context() as patch:
            act = getattr(domains, name)

            def killed(*given: object, act=act) -> None:
                act(*given)
                raise Killed

            patch.setattr(domains, name, killed)
            with pytest.raises(Killed):
                execution.run(operation.id, operation.attempt, return_work.reconcile)
        db.session.rollback()
        change(Operation, Operation.id == operation.id, state=OperationState.WAITING, attempt=step + 2)
        assert node().returning and len(left()) == 2
        operation = db.session.get_one(Operation, operation.id)
    assert reconcile().state == OperationState.DONE
    assert not left() and not list(pool.iterdir()) and not node().returning
    assert not {"desk-1", "desk-2"} & set(domains.existing(host).values())


def test_one_operation_at_a_time_and_after_a_failure_the_next_return_begins_one_at_once(
    chief: User, desks: list[int], host: libvirt.virConnect
) -> None:
    actions.delete(chief, desks)
    returns(host, number=1)
    returns(host, number=2)
    (operation,) = to_do()
    change(Operation, Operation.id == operation.id, state=OperationState.FAILED)
    returns(host, number=3)
    assert not to_do(), "it is tried again after a pause"
    record([Answer(node().id, Observed.DOWN, "Gone.", round=4)])
    returns(host, number=5)
    assert len(to_do()) == 1


@one
def test_nothing_is_left_where_only_files_are_and_the_node_serves_meanwhile(
    chief: User, desks: list[int], pool: Path
) -> None:
    actions.delete(chief, desks)
    returns(None)
    assert node().observed == Observed.UP and len(to_do()) == 1


@one
def test_a_node_that_dies_while_clones_are_deleted_there_lets_them_go_too(
    chief: User, desks: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    change(Node, observed=Observed.UP)
    change(Clone, state=CloneState.STOPPED)
    actions.delete(chief, desks)
    assert not left(), "it answers: it is done there at once"
    monkeypatch.setattr(endpoints, "libvirt_uri", lambda _where: "qemu+unix:///system?socket=/nowhere")
    operation = db.session.scalars(select(Operation).where(Operation.kind == "clones_delete")).one()
    execution.run(operation.id, operation.attempt, deletion_work.delete)
    assert set(left()) == {"desk-1", "desk-2"} and not db.session.scalars(select(Clone)).all()
    assert db.session.get_one(Operation, operation.id).state == OperationState.DONE


def test_made_again_keeps_the_row_and_notes_the_old_uuid(chief: User, desks: list[int]) -> None:
    with transaction() as session:
        row = session.get_one(Clone, desks[0])
        old = row.uuid
        remains.leave(session, [row], Cause.MADE_AGAIN)
        row.uuid = "00000000-0000-0000-0000-000000000001"
    assert left()["desk-1"].uuid == old and left()["desk-1"].cause == Cause.MADE_AGAIN
    assert len(db.session.scalars(select(Clone)).all()) == 2


@one
def test_a_node_is_removed_with_the_notes_of_what_stands_there(chief: User, desks: list[int]) -> None:
    (other, *_rest) = [Node(name="other", address="192.0.2.99")]
    with transaction() as session:
        session.add(other)
        session.flush()
        for base in session.scalars(select(Base)):
            base.node_id = other.id
    change(Node, Node.name == "n1", is_master=False)
    (there,) = db.session.scalars(select(Node).where(Node.name == "n1"))
    with pytest.raises(Conflict):
        removal.remove(chief, there)
    actions.delete(chief, desks)
    removal.remove(chief, there)
    assert not left()


@one
@pytest.mark.parametrize(("seen", "started"), [(Observed.DOWN, ("default",)), (Observed.UP, ())])
def test_a_network_that_was_active_is_started_at_the_return_and_not_while_the_node_is_up(
    chief: User, desks: list[int], host: libvirt.virConnect, seen: Observed, started: tuple[str, ...]
) -> None:
    change(Node, observed=seen, facts={"networks": ["default"], "active_pools": []}, facts_at=None)
    network = host.networkLookupByName("default")
    network.destroy()
    try:
        (question,), _unasked = questions_of([node()], {node().id: 1}, {})
        answer = Answer(node().id, Observed.UP, round=1)
        examination.query_libvirt(question, answer, endpoints.workspace())
        assert (answer.started, bool(network.isActive())) == (started, bool(started))
    finally:
        if not network.isActive():
            network.create()
    answer.facts = None
    record([answer])
    events = db.session.scalars(select(Event.text).where(Event.action == "mend")).all()
    assert [event.figures["names"] for event in events] == [list(started)] * bool(started)


DESK = """<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>65536</memory><os><type>hvm</type></os>
<devices><disk type='file' device='disk'><source file='{path}'/><target dev='vda'/></disk>
<interface type='network'><mac address='52:54:00:00:00:0{number}'/><source network='default'/></interface></devices>
</domain>"""


def test_orphans_are_listed_and_are_brought_back_ignored_or_deleted_and_others_are_left(
    chief: User, desks: list[int], host: libvirt.virConnect, pool: Path
) -> None:
    version = db.session.scalars(select(Replica.version_id)).one()
    change(Pool, path=str(pool))
    change(Node, observed=Observed.UP)
    made = {}
    for number, name in enumerate(["lost-1", "lost-2", "old-1", "foreign"]):
        uuid = f"{number}0000000-0000-0000-0000-000000000000"
        path = pool / (f"{name}.{uuid[:8]}.vda.qcow2" if name != "foreign" else "disk.qcow2")
        xml = DESK.format(name=name, uuid=uuid, path=path, number=number)
        made[name] = uuid
        domains.define_all(host, [marked(xml, Mark("linux", version, "chief", False)) if "lost" in name else xml])
    try:
        operation = orphans.request_look(chief, node())
        execution.run(operation.id, 1, orphan_work.look)
        found = left()
        assert {name: (row.cause, row.base_name, row.owner_name) for name, row in found.items()} == {
            "lost-1": (Cause.UNKNOWN, "linux", "chief"),
            "lost-2": (Cause.UNKNOWN, "linux", "chief"),
            "old-1": (Cause.UNKNOWN, "", ""),
        }
        ids = {name: row.id for name, row in found.items()}
        clone = orphans.bring_back(chief, node(), ids["lost-1"], "chief")
        assert (clone.uuid, [nic.mac for nic in clone.nics]) == (made["lost-1"], ["52:54:00:00:00:00"])
        orphans.ignore(chief, node(), ids["lost-2"])
        with pytest.raises(Conflict):
            orphans.bring_back(chief, node(), ids["old-1"], "chief")
        orphans.delete(chief, node(), ids["old-1"])
        assert [row.name for row in orphans.page(chief, node()).items] == ["old-1"]
        returns(host)
        assert reconcile().state == OperationState.DONE
        again = orphans.request_look(chief, node())
        execution.run(again.id, 1, orphan_work.look)
        assert set(left()) == {"lost-2"} and not orphans.page(chief, node()).total
        assert {"foreign", "lost-1", "lost-2"} <= set(domains.existing(host).values())
        assert "old-1" not in domains.existing(host).values()
    finally:
        for uuid in made.values():
            domains.undefine(host, uuid)
