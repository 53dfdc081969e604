"""A clone that is off moves from node to node: killed after any step, cancelled, or with either node gone, it is one
clone whose row says where it is. On libvirt's own test driver and folders of this host, on SQLite and PostgreSQL."""

import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import libvirt
import pytest
from flask import Flask
from sqlalchemy import delete, select

from ravada_web.errors import Conflict, InvalidInput
from ravada_web.extensions import db
from ravada_web.hypervisor import domains
from ravada_web.hypervisor.errors import HypervisorUnreachable
from ravada_web.hypervisor.health import DomainState
from ravada_web.models import (
    AllowedNode,
    BaseDisk,
    Cause,
    Clone,
    CloneState,
    Event,
    Node,
    Observed,
    Operation,
    OperationState,
    Pool,
    Remains,
    Replica,
    ReplicaState,
    Role,
    ServiceState,
    User,
    now,
)
from ravada_web.remote import overlays, tpm
from ravada_web.services.clones import return_work, shutdown_watch, shutdowns
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.clones.shutdowns import Seen
from ravada_web.services.moves import copying, move_work, requests
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations import execution
from ravada_web.services.operations import requests as operation_requests
from ravada_web.services.placements.loads import node_loads
from ravada_web.services.transaction import transaction
from tests.support.factories import FACTS, change, make_base, make_nodes, make_user

XML = """<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>65536</memory>
<os><type machine='pc-q35-7.2'>hvm</type></os><devices>
<disk type='file' device='disk'><source file='{disk}'/><target dev='vda' bus='virtio'/></disk>
<interface type='network'><mac address='{mac}'/><source network='default'/></interface></devices></domain>"""
HOST = """<node><network><name>default</name></network></node>"""
MARK = b"what its user has saved"

one = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
Hosts = Mapping[str, libvirt.virConnect]


class Killed(BaseException):
    """The worker's process is gone."""


@pytest.fixture
def chief(migrated_app: Flask) -> User:
    return make_user("chief", Role.ADMINISTRATOR)


@pytest.fixture
def pools(chief: User, tmp_path: Path) -> dict[str, Path]:
    """Nodes n1 and n2 with a folder each for their pools, and desk-1, off, on n1."""
    folders = {}
    ids = make_nodes(2)
    base = make_base(ids)
    for id_, name in zip(ids, ("n1", "n2"), strict=True):
        folders[name] = tmp_path / name
        folders[name].mkdir()
        change(Replica, Replica.node_id == id_, directory=str(folders[name]))
        change(Pool, Pool.node_id == id_, path=str(folders[name]))
        for disk in db.session.scalars(select(BaseDisk)):
            with (folders[name] / disk.file_name).open("wb") as file:
                file.truncate(disk.size)
            (folders[name] / disk.file_name.replace(".qcow2", ".overlay")).touch()
    change(Node, local=True, facts=FACTS.to_dict() | {"virt_type": "test"})
    change(Node, Node.name == "n2", service_state=ServiceState.DISABLED)
    request_clones(chief, Request(base, 1, "desk", chief.name))
    change(Node, Node.name == "n2", service_state=ServiceState.ENABLED)
    change(Clone, state=CloneState.STOPPED)
    change(Operation, state=OperationState.DONE)
    return folders


@pytest.fixture
def hosts(pools: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosts]:
    """The nodes' libvirts by their names; desk-1 is defined on n1, and its disk has a mark."""
    (tmp_path / "host.xml").write_text(HOST)
    opened = {name: libvirt.open(f"test://{tmp_path}/host.xml") for name in pools}

    @contextmanager
    def connected(uri: str, **_bounds: object) -> Iterator[libvirt.virConnect]:
        yield opened[uri]

    monkeypatch.setattr(endpoints, "libvirt_uri", lambda where: where.name)
    monkeypatch.setattr(endpoints, "connect", lambda node: connected(node.name))
    monkeypatch.setattr(move_work, "open_connection", connected)
    monkeypatch.setattr(domains, "_REMOVE_FLAGS", 0)  # the test driver knows none of them
    row = desk()
    disk = pools["n1"] / row.disk_file("vda")
    backing = next(iter(pools["n1"].glob("*.qcow2")))
    made = ["qemu-img", "create", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", backing, disk, "64M"]
    subprocess.run(made, check=True)
    with disk.open("ab") as file:
        file.write(MARK)
    xml = XML.format(name=row.name, uuid=row.uuid, disk=disk, mac=row.nics[0].mac)
    domains.define_all(opened["n1"], [xml])
    yield opened
    for connection in opened.values():
        connection.close()


def desk() -> Clone:
    db.session.rollback()
    return db.session.scalars(select(Clone)).one()


def node(name: str) -> Node:
    db.session.rollback()
    return db.session.scalars(select(Node).where(Node.name == name)).one()


def ask(chief: User, to: str = "n2") -> Operation:
    return requests.request_move(chief, desk().id, node(to).id)


def run(operation: Operation) -> Operation:
    db.session.rollback()
    row = db.session.get_one(Operation, operation.id)
    execution.run(row.id, row.attempt, move_work.move)
    db.session.rollback()
    return db.session.get_one(Operation, operation.id)


def defined(hosts: Hosts) -> list[str]:
    """The nodes on which it is defined."""
    return [name for name, connection in hosts.items() if desk().uuid in domains.existing(connection)]


def holds(pools: Mapping[str, Path], name: str) -> bool:
    """Whether its disk is on that node, as its user left it."""
    disk = pools[name] / desk().disk_file("vda")
    return disk.exists() and disk.read_bytes().endswith(MARK)


def left() -> dict[str, str]:
    """Why something is left of it, by the nodes' names."""
    db.session.rollback()
    return {row.node.name: row.cause for row in db.session.scalars(select(Remains))}


def clean_up(name: str) -> None:
    """What is left on a node is removed, as its next check has it done."""
    there = node(name).id
    with transaction() as session:
        about = session.get_one(Node, there)
        row = operation_requests.request(session, "node_return", "A test", actor=None, node=about)
    execution.run(row.id, 1, return_work.reconcile)


def names(folder: Path) -> set[str]:
    """The files there that are no base's."""
    return {path.name for path in folder.iterdir() if not path.name.startswith("ravada-base")}


def test_it_is_there_whole_and_what_it_was_stays(chief: User, pools: dict[str, Path], hosts: Hosts) -> None:
    before = desk()
    was = (before.uuid, before.name, [nic.mac for nic in before.nics])
    operation = ask(chief)
    assert (desk().state, desk().node.name, left()) == (CloneState.MOVING, "n1", {"n2": Cause.ARRIVING})
    assert node_loads(db.session())[node("n2").id].clones == 1, "its place there is taken from now on"
    assert move_work.nodes_at_work() == {node("n1").id, node("n2").id}
    done = run(operation)
    assert move_work.nodes_at_work() == set()
    assert (done.state, done.error.kind) == (OperationState.DONE, "")
    assert (desk().state, desk().node.name, defined(hosts)) == (CloneState.STOPPED, "n2", ["n2"])
    assert (desk().uuid, desk().name, [nic.mac for nic in desk().nics]) == was
    xml = hosts["n2"].lookupByUUIDString(was[0]).XMLDesc()
    assert str(pools["n2"] / desk().disk_file("vda")) in xml and was[2][0] in xml and str(pools["n1"]) not in xml
    assert holds(pools, "n2") and left() == {"n1": Cause.MOVED}
    assert str(pools["n2"]).encode() in (pools["n2"] / desk().disk_file("vda")).read_bytes()[:4096], "its backing file"
    clean_up("n1")
    assert not left() and not names(pools["n1"]) and names(pools["n2"]) == {desk().disk_file("vda")}
    assert desk().decision is not None and desk().decision.why.kind == "moves.note"
    actions = db.session.scalars(select(Event.action).where(Event.object_kind == "clone").order_by(Event.id)).all()
    assert actions[-2:] == ["move", "moved"]


@one
def test_its_disk_is_read_once_where_it_was_and_one_that_comes_otherwise_is_refused(
    chief: User, pools: dict[str, Path], hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed, sha256, copy = list[str](), copying.images.sha256, copying.copy_file

    def noted(workspace: Any, where: Any, *rest: Any, **named: Any) -> str:
        hashed.append(where.name)
        return sha256(workspace, where, *rest, **named)

    def spoilt(workspace: Any, source: Any, path: str, dest: Any, to: str, **named: Any) -> None:
        copy(workspace, source, path, dest, to, **named)
        with Path(to).open("r+b") as file:
            file.write(b"X")

    monkeypatch.setattr(copying.images, "sha256", noted)
    with monkeypatch.context() as patch:
        patch.setattr(copying, "copy_file", spoilt)
        failed = run(ask(chief))
    assert (failed.state, failed.error.kind, desk().node.name) == (OperationState.FAILED, "moves.differs", "n1")
    clean_up("n2")
    assert run(ask(chief)).state == OperationState.DONE
    assert holds(pools, "n2") and set(hashed) == {"n2"}


# What a step is, and where its function is looked up.
STEPS: list[tuple[Any, str]] = [
    (move_work.base_files, "require_whole"),
    (move_work.domains, "keep_off"),
    (copying, "copy_file"),
    (overlays, "put_in_place"),
    (move_work.remains, "leave"),
    (move_work.events, "record"),
    (move_work.domains, "undefine"),
    (move_work.domains, "define_all"),
    (move_work, "set_state"),
]


@one
def test_killed_at_every_step_it_is_one_clone_and_the_last_attempt_ends_it(
    chief: User, pools: dict[str, Path], hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = ask(chief)
    places = []
    for attempt, (room, step) in enumerate(STEPS, start=1):
        act = getattr(room, step)

        def killed(*given: Any, act: Any = act, **named: Any) -> None:
            act(*given, **named)
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(room, step, killed)
            with pytest.raises(Killed):
                execution.run(operation.id, attempt, move_work.move)
        there = desk().node.name
        places.append(there)
        assert holds(pools, there), f"the row says where it is, after {step}"
        assert len(defined(hosts)) <= 1, f"never are there two that could start, after {step}"
        assert there in defined(hosts) or desk().state == CloneState.MOVING
        assert list(left()) == ["n1" if there == "n2" else "n2"], "and what is of it elsewhere"
        change(Operation, Operation.id == operation.id, state=OperationState.WAITING, attempt=attempt + 1)
    assert places == ["n1"] * 6 + ["n2"] * 3, "what is begun in a transaction is undone with it"
    assert run(operation).state == OperationState.DONE
    assert (desk().node.name, desk().state, defined(hosts)) == ("n2", CloneState.STOPPED, ["n2"])
    assert holds(pools, "n2")
    clean_up("n1")
    assert not left() and not names(pools["n1"]) and names(pools["n2"]) == {desk().disk_file("vda")}


@one
def test_the_state_of_its_tpm_is_there_before_it_is_defined_and_goes_where_it_does_not(
    chief: User, pools: dict[str, Path], hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm></devices>"
    xml = hosts["n1"].lookupByUUIDString(desk().uuid).XMLDesc().replace("</devices>", device)
    domains.define_all(hosts["n1"], [xml])
    put: list[bytes] = []

    def keep(_workspace: object, _where: object, path: str, *_of: object) -> None:
        assert not defined(hosts)
        put.append(Path(path).read_bytes())
        Path(path).unlink()

    monkeypatch.setattr(tpm, "read_state", lambda *_where: b"keys")
    monkeypatch.setattr(tpm, "put_state", keep)
    operation = ask(chief)
    with monkeypatch.context() as patch:
        patch.setattr(move_work, "_switch", lambda *_given: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run(operation)
    assert len(names(pools["n2"])) == 2
    clean_up("n2")
    assert not names(pools["n2"]), "it goes with the disks"
    assert run(ask(chief)).state == OperationState.DONE
    assert put == [b"keys"] and defined(hosts) == ["n2"] and names(pools["n2"]) == {desk().disk_file("vda")}


def test_cancelled_before_the_switch_it_stays_and_nothing_is_left_over(
    chief: User, pools: dict[str, Path], hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = ask(chief)
    place = overlays.put_in_place

    def cancelled(*given: Any, **named: Any) -> None:
        place(*given, **named)
        change(Operation, Operation.id == operation.id, cancel_asked=True)

    monkeypatch.setattr(overlays, "put_in_place", cancelled)
    assert run(operation).state == OperationState.CANCELLED
    assert (desk().node.name, desk().state, defined(hosts)) == ("n1", CloneState.STOPPED, ["n1"])
    assert holds(pools, "n1") and left() == {"n2": Cause.MOVED}
    with pytest.raises(InvalidInput):
        ask(chief)
    with pytest.raises(Conflict):
        operation_requests.retry(chief, [operation.id])
    clean_up("n2")
    assert not left() and not names(pools["n2"])


@one
def test_cancelled_after_the_switch_it_goes_on_to_its_end(
    chief: User, pools: dict[str, Path], hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = ask(chief)
    undefine = domains.undefine

    def cancelled(*given: Any) -> None:
        undefine(*given)
        change(Operation, Operation.id == operation.id, cancel_asked=True)

    monkeypatch.setattr(domains, "undefine", cancelled)
    assert run(operation).state == OperationState.DONE
    assert (desk().node.name, desk().state, defined(hosts)) == ("n2", CloneState.STOPPED, ["n2"])


@one
def test_one_that_is_given_up_meanwhile_leaves_nothing_on_its_way(
    chief: User, pools: dict[str, Path], hosts: Hosts
) -> None:
    operation = ask(chief)
    with transaction() as session:
        session.execute(delete(Clone))
    failed = run(operation)
    assert (failed.state, failed.error.kind, left()) == (OperationState.FAILED, "moves.gone", {"n2": Cause.MOVED})


def unreachable(hosts: Hosts, name: str, after: Callable[[], bool]) -> Callable[..., Any]:
    """Connections to the hosts, of which one no longer answers once something is so."""

    @contextmanager
    def connected(uri: str, **_bounds: object) -> Iterator[libvirt.virConnect]:
        if uri == name and after():
            raise HypervisorUnreachable("It does not answer.")
        yield hosts[uri]

    return connected


def switched() -> bool:
    return desk().node.name == "n2"


@one
@pytest.mark.parametrize("name", ["n1", "n2"])
def test_a_node_that_dies_before_the_switch_leaves_it_where_it_was(
    chief: User, pools: dict[str, Path], hosts: Hosts, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    operation = ask(chief)
    monkeypatch.setattr(move_work, "open_connection", unreachable(hosts, name, lambda: True))
    assert run(operation).state == OperationState.FAILED
    assert (desk().node.name, desk().state, defined(hosts)) == ("n1", CloneState.STOPPED, ["n1"])
    assert left() == {"n2": Cause.MOVED}


@one
def test_a_source_that_dies_after_the_switch_is_cleaned_up_when_it_is_back(
    chief: User, pools: dict[str, Path], hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = ask(chief)
    monkeypatch.setattr(move_work, "open_connection", unreachable(hosts, "n1", switched))
    assert run(operation).state == OperationState.DONE
    assert (desk().node.name, desk().state, left()) == ("n2", CloneState.STOPPED, {"n1": Cause.MOVED})
    clean_up("n1")
    assert defined(hosts) == ["n2"] and not left()


@one
def test_a_target_that_dies_after_the_switch_is_waited_for(
    chief: User, pools: dict[str, Path], hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = ask(chief)
    with monkeypatch.context() as patch:
        patch.setattr(move_work, "open_connection", unreachable(hosts, "n2", switched))
        waits = run(operation)
    assert (waits.state, waits.message.kind) == (OperationState.WATCHED, "moves.waits")
    assert (desk().node.name, desk().state, defined(hosts)) == ("n2", CloneState.MOVING, [])
    change(Node, Node.name == "n2", observed=Observed.DOWN)
    (ids,) = move_work.due()
    move_work.go_on(ids)
    assert db.session.get_one(Operation, operation.id).state == OperationState.WATCHED
    change(Node, Node.name == "n2", observed=Observed.UP)
    move_work.go_on(ids)
    assert run(operation).state == OperationState.DONE
    assert (desk().node.name, desk().state, defined(hosts)) == ("n2", CloneState.STOPPED, ["n2"])


@one
def test_what_cannot_be_defined_there_in_the_end_is_retried_by_hand(
    chief: User, pools: dict[str, Path], hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = ask(chief)

    def refuse(*_given: object) -> None:
        raise Conflict("It does not like it.")

    with monkeypatch.context() as patch:
        patch.setattr(domains, "define_all", refuse)
        assert run(operation).state == OperationState.FAILED
    assert (desk().node.name, desk().state) == ("n2", CloneState.FAILED)
    operation_requests.retry(chief, [operation.id])
    assert run(operation).state == OperationState.DONE
    assert (desk().state, defined(hosts)) == (CloneState.STOPPED, ["n2"])


@one
@pytest.mark.parametrize(
    ("become", "kind"),
    [
        (lambda domain, _disk: domain.create(), "moves.runs"),
        (lambda domain, _disk: domain.undefine(), "moves.vanished"),
        (lambda domain, _disk: domain.snapshotCreateXML("<domainsnapshot/>"), "moves.snapshots"),
        (lambda _domain, disk: disk.unlink(), "moves.file_missing"),
    ],
)
def test_what_was_done_behind_the_products_back_is_refused_and_it_stays(
    chief: User, pools: dict[str, Path], hosts: Hosts, become: Callable[..., object], kind: str
) -> None:
    operation = ask(chief)
    become(hosts["n1"].lookupByUUIDString(desk().uuid), pools["n1"] / desk().disk_file("vda"))
    failed = run(operation)
    assert (failed.state, failed.error.kind) == (OperationState.FAILED, kind)
    assert (desk().node.name, desk().state) == ("n1", CloneState.STOPPED)


@one
def test_what_is_written_while_it_is_copied_is_seen(
    chief: User, pools: dict[str, Path], hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = ask(chief)
    place = overlays.put_in_place

    def written(*given: Any, **named: Any) -> None:
        place(*given, **named)
        (pools["n1"] / desk().disk_file("vda")).write_bytes(MARK + b", and more")

    monkeypatch.setattr(overlays, "put_in_place", written)
    failed = run(operation)
    assert (failed.state, failed.error.kind) == (OperationState.FAILED, "moves.written")
    assert desk().node.name == "n1"


@one
def test_a_target_that_cannot_take_it_is_refused_beside_the_field(chief: User, pools: dict[str, Path]) -> None:
    id_ = node("n2").id
    for table, column, value, fine in (
        (Node, "observed", Observed.DOWN, Observed.UP),
        (Node, "service_state", ServiceState.DISABLED, ServiceState.ENABLED),
        (Node, "clone_limit", 0, None),
        (Node, "memory_total_mib", 1, 16384),
        (Pool, "free_mib", 1, 100_000),
        (Replica, "state", ReplicaState.COPYING, ReplicaState.READY),
        (AllowedNode, "", None, None),
    ):
        key: Any = table.id if table is Node else table.node_id
        if table is AllowedNode:
            with transaction() as session:
                session.execute(delete(AllowedNode).where(AllowedNode.node_id == id_))
        else:
            change(table, key == id_, **{column: value})
        with pytest.raises(InvalidInput) as refused:
            ask(chief)
        assert refused.value.fields["node_id"].kind == "clones.why_other", column
        assert (desk().state, left()) == (CloneState.STOPPED, {})
        (offered,) = requests.prospects(chief, desk())
        assert (offered.node.name, offered.refusal.kind) == ("n2", "clones.why_other")
        if table is not AllowedNode:
            change(table, key == id_, **{column: fine})
            assert not requests.prospects(chief, desk())[0].refusal, column


@one
def test_only_one_that_is_off_moves_and_not_to_where_it_is_or_to_nowhere(chief: User, pools: dict[str, Path]) -> None:
    here, there = node("n1").id, node("n2").id
    for state, node_id, kind in (
        (CloneState.RUNNING, there, "moves.choose_how"),
        (CloneState.FAILED, there, "moves.must_be_off"),
        (CloneState.STOPPED, here, "moves.is_there"),
        (CloneState.STOPPED, 99, "moves.no_such_node"),
    ):
        change(Clone, state=state)
        with pytest.raises(InvalidInput) as refused:
            requests.request_move(chief, desk().id, node_id)
        assert refused.value.fields["node_id"].kind == kind
    change(Node, Node.id == here, observed=Observed.DOWN)
    with pytest.raises(InvalidInput) as refused:
        requests.request_move(chief, desk().id, there)
    assert refused.value.fields["node_id"].kind == "moves.source_away"


@pytest.fixture
def running(chief: User, pools: dict[str, Path], hosts: Hosts) -> libvirt.virDomain:
    """The same desktop, which runs."""
    domain = hosts["n1"].lookupByUUIDString(desk().uuid)
    domain.create()
    change(Clone, state=CloneState.RUNNING, display="/run/desk.sock")
    return domain


def restart(chief: User) -> Operation:
    """Asked to be shut down, moved and started there, with its guest asked already."""
    operation = requests.request_move(chief, desk().id, node("n2").id, restart=True)
    assert (desk().state, desk().state_in_use, left()) == (CloneState.STOPPING, "stopping", {"n2": Cause.ARRIVING})
    assert run(operation).state == OperationState.WATCHED
    return operation


def see(operation: Operation, state: CloneState) -> None:
    """What the watch of its guest's shutdown sees of it."""
    shutdowns.settle(operation.id, Seen({desk().uuid: DomainState(desk().uuid, state)}))
    db.session.rollback()


def test_one_that_runs_is_shut_down_first_and_started_where_it_comes_to(
    chief: User, pools: dict[str, Path], hosts: Hosts, running: libvirt.virDomain
) -> None:
    operation = restart(chief)
    assert not running.isActive(), "its power button was pressed"
    loads = node_loads(db.session())
    assert [loads[node(name).id].committed_mib for name in ("n1", "n2")] == [512, 512], "it has its place on both"
    assert shutdown_watch.due() == [[operation.id]] and move_work.due() == []
    see(operation, CloneState.RUNNING)
    assert db.session.get_one(Operation, operation.id).state == OperationState.WATCHED
    see(operation, CloneState.STOPPED)
    assert db.session.get_one(Operation, operation.id).state == OperationState.WAITING
    assert (desk().state, desk().start_after, desk().display) == (CloneState.MOVING, True, "")
    done = run(operation)
    assert (done.state, done.error.kind) == (OperationState.DONE, "")
    assert (desk().node.name, desk().state, desk().start_after) == ("n2", CloneState.STARTING, False)
    assert defined(hosts) == ["n2"] and holds(pools, "n2")
    (started,) = done.result["starts"]
    assert db.session.get_one(Operation, started).node_id == desk().node_id
    loads = node_loads(db.session())
    assert [getattr(loads.get(node(name).id), "committed_mib", 0) for name in ("n1", "n2")] == [0, 512]


def test_a_guest_that_does_not_obey_runs_on_where_it_is(
    chief: User, pools: dict[str, Path], hosts: Hosts, running: libvirt.virDomain
) -> None:
    operation = restart(chief)
    change(Operation, watched_until=now() - timedelta(seconds=1))
    see(operation, CloneState.RUNNING)
    failed = db.session.get_one(Operation, operation.id)
    assert (failed.state, failed.error.kind) == (OperationState.FAILED, "clones.still_running")
    assert (desk().node.name, desk().state, left()) == ("n1", CloneState.RUNNING, {"n2": Cause.MOVED})


@pytest.mark.parametrize("after", [False, True])
def test_cancelled_before_it_is_off_or_after_it_is_one_desktop_where_it_was(
    chief: User, pools: dict[str, Path], hosts: Hosts, running: libvirt.virDomain, after: bool
) -> None:
    operation = restart(chief)
    if after:
        see(operation, CloneState.STOPPED)
    change(Operation, Operation.id == operation.id, cancel_asked=True)
    if after:
        assert run(operation).state == OperationState.CANCELLED
        assert desk().state == CloneState.STARTING, "it is started again"
    else:
        see(operation, CloneState.STOPPED)
        assert desk().state == CloneState.STOPPED, "its guest was quicker"
    assert db.session.get_one(Operation, operation.id).state == OperationState.CANCELLED
    assert (desk().node.name, desk().start_after, left()) == ("n1", False, {"n2": Cause.MOVED})


@one
def test_a_move_that_fails_while_it_is_off_starts_it_where_it_is(
    chief: User, pools: dict[str, Path], hosts: Hosts, running: libvirt.virDomain
) -> None:
    operation = restart(chief)
    see(operation, CloneState.STOPPED)
    (pools["n1"] / desk().disk_file("vda")).unlink()
    assert run(operation).error.kind == "moves.file_missing"
    assert (desk().node.name, desk().state, left()) == ("n1", CloneState.STARTING, {"n2": Cause.MOVED})


@one
def test_a_node_that_cannot_be_asked_to_shut_it_down_leaves_it_running(
    chief: User, pools: dict[str, Path], hosts: Hosts, running: libvirt.virDomain, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = requests.request_move(chief, desk().id, node("n2").id, restart=True)
    monkeypatch.setattr(endpoints, "connect", lambda node: unreachable(hosts, "n1", lambda: True)(node.name))
    assert run(operation).state == OperationState.FAILED
    assert (desk().node.name, desk().state, left()) == ("n1", CloneState.RUNNING, {"n2": Cause.MOVED})
