"""Replicas on nodes that are folders of this host: what is wanted is done whatever the order of the jobs, and what is
damaged is brought in order from a whole copy. Files, hashes and copies are real; only libvirt is not there."""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import pytest
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

import jobs.bases
import jobs.clones
from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.models import (
    Base,
    Clone,
    CloneState,
    Event,
    Node,
    Observed,
    Operation,
    OperationState,
    Pool,
    Replica,
    ReplicaState,
    now,
)
from ravada_web.services.bases import actions as base_actions
from ravada_web.services.bases import replica_files, replicas
from ravada_web.services.clones.errors import NoRoom
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations import requests as operation_requests
from ravada_web.services.storage import leftovers
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import FACTS, change, make_nodes, make_operation
from tests.support.refusals import refused


@dataclass
class Bases:
    """A base that was made on n1, and three nodes whose pools are folders here."""

    people: People
    folder: Path
    drain: Callable[[], None]
    base_id: int = 0

    def allow(self, *numbers: int) -> None:
        """Tick these nodes, and no others."""
        base_actions.allow(self.people.administrator, self.base, numbers)

    @property
    def base(self) -> Base:
        db.session.rollback()
        return db.session.get_one(Base, self.base_id)

    def replica(self, number: int) -> Replica | None:
        """The replica on that node."""
        db.session.rollback()
        return db.session.scalar(select(Replica).where(Replica.node_id == number))

    def state(self, number: int) -> str | None:
        found = self.replica(number)
        return found.state if found else None

    def file(self, number: int) -> Path:
        """The base's disk on that node."""
        return self.folder / f"n{number}" / f"ravada-base-{self.base_id}-v1-vda.qcow2"

    def names(self, number: int) -> set[str]:
        """All that is in the node's pool."""
        return {path.name for path in (self.folder / f"n{number}").iterdir()} - {"source.qcow2"}

    def whole(self) -> set[str]:
        """What there is in the pool of a node that has the base."""
        return {self.file(1).name, self.file(1).with_suffix(".overlay").name}

    def look(self, *numbers: int) -> None:
        """What a check does about replicas."""
        expected = replica_files.expected_on(numbers)
        for number in numbers:
            node = db.session.get_one(Node, number)
            paths = replica_files.to_look_at(expected.get(number, []))
            seen = replica_files.look(endpoints.target(node), paths)
            findings = replica_files.compare(expected.get(number, []), seen)
            with transaction() as session:
                replica_files.note(session, findings)

    def write(self, number: int, content: bytes, at: int = 0) -> None:
        """Write into the node's file, as nobody should."""
        self.file(number).chmod(0o644)
        with self.file(number).open("r+b") as opened:
            opened.seek(at)
            opened.write(content)

    def open_operations(self) -> Sequence[Operation]:
        db.session.rollback()
        waiting = select(Operation).where(Operation.state == OperationState.WAITING)
        return db.session.scalars(waiting.order_by(Operation.id)).all()

    def unexpected(self) -> list[str]:
        """The errors of operations that nobody foresaw."""
        db.session.rollback()
        errors = [operation.error for operation in db.session.scalars(select(Operation))]
        return [str(error) for error in errors if error.kind == "operations.unexpected"]


@pytest.fixture
def bases(people: People, tmp_path: Path, drain: Callable[[], None]) -> Bases:
    for number in make_nodes(3):
        (tmp_path / f"n{number}").mkdir()
        change(Node, Node.id == number, local=True)
        change(Pool, Pool.node_id == number, path=str(tmp_path / f"n{number}"))
    source = tmp_path / "n1" / "source.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", source, "64M"], check=True)
    subprocess.run(["qemu-io", "-c", "write -P 7 0 3M", source], check=True, stdout=subprocess.DEVNULL)
    made = Bases(people, tmp_path, drain)
    values = {"source": "file", "paths": str(source), "memory_mib": 128, "vcpus": 1}
    base_actions.request_import(people.administrator, name="linux", description="", **values)  # type: ignore[arg-type]
    drain()
    made.base_id = db.session.scalars(select(Base.id)).one()
    base_actions.prepare(people.administrator, made.base)
    drain()
    assert made.state(1) == ReplicaState.READY
    return made


JOBS = {"replica_copy": jobs.bases.copy_replica, "replica_remove": jobs.bases.remove_replica}


def do(rows: Sequence[Operation]) -> None:
    """Do these operations' attempts in this order, as workers might."""
    for id_, attempt, kind in [(row.id, row.attempt, row.kind) for row in rows]:
        JOBS[kind](id_, attempt)


@pytest.mark.parametrize("clicks", [(2, 0, 2), (2, 0), (2, 0, 2, 0), (2, 0, 2, 0, 2)])
def test_quick_ticks_end_in_what_was_asked_last_whatever_the_jobs_order(bases: Bases, clicks: tuple[int, ...]) -> None:
    seen: list[tuple[int, int, str]] = []
    for click in clicks:
        bases.allow(*([1, click] if click else [1]))
        seen += [
            (row.id, row.attempt, row.kind)
            for row in bases.open_operations()
            if (row.id, row.attempt, row.kind) not in seen
        ]
    db.session.rollback()
    for id_, attempt, kind in reversed(seen):
        JOBS[kind](id_, attempt)
    bases.drain()
    assert bases.state(2) == (ReplicaState.READY if clicks[-1] else None)
    assert bases.names(2) == (bases.whole() if clicks[-1] else set())
    assert bases.unexpected() == []


@pytest.mark.parametrize("last", [True, False])
def test_jobs_queued_for_the_same_replica_may_come_in_any_order(bases: Bases, last: bool) -> None:
    for order in list(permutations(range(3)))[::2]:
        bases.allow(1, 2)
        bases.drain()
        bases.allow(1)
        removal = bases.open_operations()
        bases.allow(1, 2)
        copy = bases.open_operations()
        bases.allow(*([1, 2] if last else [1]))
        rows = [*removal, *copy, *bases.open_operations()]
        do([rows[index] for index in order if index < len(rows)])
        bases.drain()
        assert bases.state(2) == (ReplicaState.READY if last else None)
        assert bases.names(2) == (bases.whole() if last else set())
        bases.allow(1)
        bases.drain()
    assert bases.unexpected() == []


def test_what_is_ticked_again_while_its_removal_is_at_work_comes_by_itself(
    bases: Bases, monkeypatch: pytest.MonkeyPatch
) -> None:
    bases.allow(1, 2)
    bases.drain()
    bases.allow(1)
    wanted = replicas.is_wanted

    def ticked_after(session: Session, replica_id: int) -> bool:
        """As the removal asks whether it may go on; a moment later somebody ticks the node."""
        monkeypatch.undo()
        answer = wanted(session, replica_id)
        bases.allow(1, 2)
        return answer

    monkeypatch.setattr(replicas, "is_wanted", ticked_after)
    bases.drain()
    replicas.settle_all()
    bases.drain()
    assert bases.state(2) == ReplicaState.READY and bases.names(2) == bases.whole()
    assert bases.unexpected() == []


def test_a_removal_is_completed_when_the_last_clone_goes(bases: Bases) -> None:
    bases.allow(1, 2)
    bases.drain()
    change(Node, Node.id == 1, runs_clones=False)
    request_clones(bases.people.administrator, Request(bases.base_id, 2, "pc", bases.people.user.name))
    change(Clone, state=CloneState.STOPPED)
    bases.allow(1)
    bases.drain()
    assert bases.state(2) == ReplicaState.READY, "clones stand on it"
    with transaction() as session:
        session.execute(delete(Clone).where(Clone.name == "pc-1"))
        replicas.settle(session, node_id=2)
    bases.drain()
    assert bases.state(2) == ReplicaState.READY, "one still does"
    with transaction() as session:
        session.execute(delete(Clone))
        replicas.settle(session, node_id=2)
    bases.drain()
    assert bases.state(2) is None and bases.names(2) == set()


def test_nothing_is_placed_on_a_replica_that_is_to_go(bases: Bases) -> None:
    bases.allow(1, 2)
    bases.drain()
    bases.allow(1)
    assert bases.state(2) == ReplicaState.REMOVING
    with refused_room():
        request_clones(bases.people.administrator, Request(bases.base_id, 99, "pc", bases.people.user.name))
    bases.drain()
    assert bases.state(2) is None


def refused_room() -> "pytest.RaisesExc[NoRoom]":
    change(Node, Node.id == 1, runs_clones=False)
    return pytest.raises(NoRoom)


def test_a_missing_file_is_copied_again_under_its_clones(bases: Bases) -> None:
    bases.allow(1, 2)
    bases.drain()
    before = bases.file(2).read_bytes()
    bases.file(2).unlink()
    bases.look(1, 2)
    found = bases.replica(2)
    assert found is not None and found.state == ReplicaState.FAILED
    assert (found.reason.kind, found.reason.figures["file"]) == ("bases.file_missing", bases.file(2).name)
    with refused_room():
        request_clones(bases.people.administrator, Request(bases.base_id, 1, "pc", bases.people.user.name))
    bases.drain()
    assert bases.state(2) == ReplicaState.READY
    assert bases.file(2).read_bytes() == before
    assert bases.names(2) == bases.whole()
    assert [event.action for event in db.session.scalars(select(Event).where(Event.result == "failed"))] == ["damaged"]


def test_a_template_that_is_missing_is_made_again(bases: Bases) -> None:
    bases.allow(1, 2)
    bases.drain()
    bases.file(2).with_suffix(".overlay").unlink()
    inode = bases.file(2).stat().st_ino
    bases.look(2)
    bases.drain()
    assert bases.state(2) == ReplicaState.READY and bases.names(2) == bases.whole()
    assert bases.file(2).stat().st_ino == inode, "what was whole is not copied again"


def test_changed_bytes_are_found_by_the_hash_and_replaced_never_overwritten(bases: Bases) -> None:
    bases.allow(1, 2)
    bases.drain()
    bases.write(2, b"\xff", at=500_000)
    changed = bases.file(2).read_bytes()
    with bases.file(2).open("rb") as opened:
        bases.look(2)
        assert bases.state(2) == ReplicaState.VERIFYING
        bases.drain()
        assert bases.state(2) == ReplicaState.READY
        assert opened.read() == changed, "a running clone keeps the file that it has open"
    assert bases.file(2).read_bytes() == bases.file(1).read_bytes()


def test_a_file_that_was_only_touched_is_verified_and_kept(bases: Bases) -> None:
    bases.allow(1, 2)
    bases.drain()
    bases.file(2).touch()
    inode = bases.file(2).stat().st_ino
    bases.look(2)
    assert bases.state(2) == ReplicaState.VERIFYING
    bases.drain()
    assert bases.state(2) == ReplicaState.READY and bases.file(2).stat().st_ino == inode
    bases.look(2)
    assert bases.state(2) == ReplicaState.READY, "how it looks now is known"


def test_a_host_whose_pool_was_emptied_gets_all_of_it_again(bases: Bases) -> None:
    bases.allow(1, 2)
    bases.drain()
    for name in bases.names(2):
        (bases.folder / "n2" / name).unlink()
    bases.look(2)
    bases.drain()
    assert bases.state(2) == ReplicaState.READY and bases.names(2) == bases.whole()


def test_of_files_whose_folder_is_not_there_nothing_is_said(bases: Bases) -> None:
    expected = replica_files.expected_on([1])[1]
    assert replica_files.compare(expected, {}) == []


def test_the_original_that_was_changed_is_blamed_and_not_the_target(bases: Bases) -> None:
    bases.write(1, b"\xff", at=500_000)
    bases.allow(1, 2)
    bases.drain()
    target, original = bases.replica(2), bases.replica(1)
    assert target is not None and original is not None
    assert (target.state, target.reason.kind) == (ReplicaState.FAILED, "bases.original_changed")
    assert target.reason.figures["node"] == "n1"
    assert (original.state, original.reason.kind) == (ReplicaState.FAILED, "bases.original_changed")
    assert bases.names(2) == set()


def test_a_changed_original_is_brought_in_order_from_another_nodes_copy(bases: Bases) -> None:
    bases.allow(1, 2)
    bases.drain()
    bases.write(1, b"\xff", at=500_000)
    bases.allow(1, 2, 3)
    bases.drain()
    assert [bases.state(number) for number in (1, 2, 3)] == [ReplicaState.READY] * 3
    assert bases.file(1).read_bytes() == bases.file(2).read_bytes() == bases.file(3).read_bytes()


def test_an_original_that_is_restored_from_a_backup_is_ready_again_and_so_are_the_others(bases: Bases) -> None:
    backup = bases.file(1).read_bytes()
    bases.write(1, b"\xff" * 4096, at=0)
    bases.allow(1, 2)
    bases.drain()
    assert bases.state(2) == ReplicaState.FAILED
    bases.write(1, backup)
    bases.allow(1, 2)
    bases.drain()
    change(Replica, Replica.state == ReplicaState.FAILED, retry_at=now())
    replicas.settle_all()
    bases.drain()
    assert [bases.state(number) for number in (1, 2)] == [ReplicaState.READY] * 2


def test_a_copy_that_failed_is_tried_again_by_itself_as_its_operations_next_attempt(bases: Bases) -> None:
    change(Node, Node.id == 2, observed=Observed.DOWN)
    bases.allow(1, 2)
    bases.drain()
    found = bases.replica(2)
    assert found is not None and found.state == ReplicaState.FAILED and found.retry_at is not None
    assert found.retry_at > now()
    change(Node, Node.id == 2, observed=Observed.UP)
    replicas.settle_all()
    assert bases.open_operations() == [], "not before its time"
    change(Replica, Replica.node_id == 2, retry_at=now())
    replicas.settle_all()
    (again,) = bases.open_operations()
    assert again.attempt == 2
    bases.drain()
    assert bases.state(2) == ReplicaState.READY


def test_a_copy_that_somebody_cancelled_waits_until_somebody_asks(bases: Bases) -> None:
    bases.allow(1, 2)
    (copy,) = bases.open_operations()
    operation_requests.cancel(bases.people.administrator, [copy.id])
    replicas.settle_all()
    bases.drain()
    assert bases.state(2) == ReplicaState.FAILED
    bases.allow(1, 2)
    bases.drain()
    assert bases.state(2) == ReplicaState.READY


def test_a_retry_of_what_another_operation_has_taken_over_is_refused(bases: Bases) -> None:
    bases.allow(1, 2)
    (copy,) = bases.open_operations()
    bases.allow(1)
    with pytest.raises(Conflict):
        operation_requests.retry(bases.people.administrator, [copy.id])
    bases.drain()
    assert bases.state(2) is None


def test_a_file_of_that_name_that_is_not_ours_is_left_alone(bases: Bases) -> None:
    bases.file(2).write_bytes(b"somebody's")
    bases.allow(1, 2)
    bases.drain()
    assert bases.state(2) == ReplicaState.FAILED and bases.file(2).read_bytes() == b"somebody's"
    bases.allow(1)
    bases.drain()
    assert bases.state(2) is None and bases.file(2).read_bytes() == b"somebody's"


def test_parts_of_ended_attempts_are_swept_by_the_next_one_and_never_a_live_ones(bases: Bases) -> None:
    ended = make_operation("replica_copy", state=OperationState.FAILED)
    live = make_operation("replica_copy", state=OperationState.RUNNING, attempt=2)
    gone = [f".{bases.file(2).name}.op-{ended.id}-1.part", f".{bases.file(2).name}.op-{live.id}-1.part"]
    kept = [f".x.op-{live.id}-2.part", ".x.op-987654-1.part", f"op-{ended.id}-1.part", f".notes.op-{ended.id}"]
    for name in gone + kept:
        (bases.folder / "n2" / name).write_bytes(b"1")
    folder = bases.folder / "n2" / f".op-{ended.id}-1.Ab3dEf9h"
    folder.mkdir()
    (folder / "half.qcow2").write_bytes(b"1")
    bases.allow(1, 2)
    bases.drain()
    assert bases.names(2) == bases.whole() | set(kept)


def test_what_an_attempt_has_left_of_clones_is_swept_by_the_next(bases: Bases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "libvirt_uri", lambda _where: "test:///default")
    request_clones(bases.people.administrator, Request(bases.base_id, 2, "pc", bases.people.user.name))
    (row,) = [row for row in bases.open_operations() if row.kind == "clones_create"]
    change(Node, Node.id == 1, facts=FACTS.to_dict())
    folder = bases.folder / "n1" / f".op-{row.id}-1.Ab3dEf9h"
    folder.mkdir()
    (folder / "half.qcow2").write_bytes(b"1")
    change(Operation, Operation.id == row.id, attempt=2)
    jobs.clones.create(row.id, 2)
    assert not folder.exists()


def test_nodes_where_operations_ended_early_are_swept_of_what_they_left(bases: Bases) -> None:
    node = db.session.get_one(Node, 2)
    failed = make_operation("replica_copy", state=OperationState.FAILED, node_id=node.id, finished_at=now())
    left = bases.folder / "n2" / f".some.qcow2.op-{failed.id}-1.part"
    left.write_bytes(b"1")
    assert [list(ids) for ids in leftovers.due()] == [[2]]
    leftovers.sweep_nodes([2])
    assert not left.exists()


def test_a_base_is_removed_while_it_is_copied(bases: Bases) -> None:
    bases.allow(1, 2)
    (copy,) = bases.open_operations()
    former = (copy.id, copy.attempt)
    base_actions.remove(bases.people.administrator, bases.base)
    jobs.bases.copy_replica(*former)
    bases.drain()
    jobs.bases.copy_replica(*former)
    assert db.session.scalar(select(Base.id)) is None
    assert bases.names(1) == bases.names(2) == set()
    assert bases.unexpected() == []


def test_a_node_that_is_away_and_never_had_a_copy_keeps_nothing_from_being_removed(bases: Bases) -> None:
    change(Node, Node.id == 2, observed=Observed.DOWN)
    bases.allow(1, 2)
    bases.drain()
    bases.allow(1)
    bases.drain()
    assert bases.state(2) is None
    bases.allow(1, 2)
    bases.drain()
    base_actions.remove(bases.people.administrator, bases.base)
    bases.drain()
    assert db.session.scalar(select(Base.id)) is None and bases.names(1) == set()


def test_a_node_that_is_away_with_a_copy_keeps_the_base(bases: Bases) -> None:
    bases.allow(1, 2)
    bases.drain()
    change(Node, Node.id == 2, observed=Observed.DOWN)
    with refused(Conflict, "bases.replica_unreachable", node="n2"):
        base_actions.remove(bases.people.administrator, bases.base)


def test_a_copy_is_made_from_another_node_where_the_originals_folder_is_away(bases: Bases) -> None:
    bases.allow(1, 2)
    bases.drain()
    (bases.folder / "n1").rename(bases.folder / "unmounted")
    bases.allow(1, 2, 3)
    bases.drain()
    assert bases.state(3) == ReplicaState.READY
    assert bases.state(1) == ReplicaState.READY, "of a folder that is not there nothing is said"
    (bases.folder / "unmounted").rename(bases.folder / "n1")
    assert bases.file(3).read_bytes() == bases.file(1).read_bytes()
