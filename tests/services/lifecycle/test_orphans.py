"""Files of ours on a node that no row knows are orphans, as machines of ours are; what is others' is,
however it is called, neither listed nor touched. On libvirt's own test driver, on SQLite and PostgreSQL."""

import json
import os
import shlex
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest
from flask import Flask
from sqlalchemy import event, select

from ravada_web.errors import Conflict, InvalidInput, NotFound
from ravada_web.extensions import db
from ravada_web.hypervisor import domains
from ravada_web.hypervisor.connection import open_connection
from ravada_web.hypervisor.health import NodeHealth
from ravada_web.messages.foreign import Nonsense
from ravada_web.models import (
    BaseVersion,
    Cause,
    Clone,
    Node,
    Observed,
    Operation,
    OperationState,
    Pool,
    Remains,
    RemainsKind,
    Replica,
    Role,
    User,
)
from ravada_web.remote import commands, files, foreign_files
from ravada_web.services.clones import actions, remains, return_work
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.lifecycle import exports, orphan_work, orphans
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.recording import record
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations import execution
from ravada_web.services.storage.file_names import FileOf, named
from ravada_web.services.transaction import transaction
from tests.support.factories import change, make_base, make_nodes, make_user

one = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
DOMAIN = """<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>65536</memory><os><type>hvm</type></os>
<devices><disk type='file' device='disk'><source file='{path}'/><target dev='vda'/></disk></devices></domain>"""


def overlay(path: Path, backing: Path | str, size: int = 0) -> Path:
    """A qcow2's header that names its backing file, as far as it is read, and some bytes."""
    name = os.fsencode(backing)
    header = struct.pack(">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 512, len(name), 16, 1 << 26, 0, 1, 0, 0, 1, 0, 0)
    path.write_bytes(header.ljust(512, b"\0") + name + bytes(size))
    return path


@pytest.fixture
def chief(migrated_app: Flask) -> User:
    return make_user("chief", Role.ADMINISTRATOR)


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    folder = tmp_path / "pool"
    folder.mkdir()
    return folder


@pytest.fixture
def version(chief: User, pool: Path, monkeypatch: pytest.MonkeyPatch) -> BaseVersion:
    """A base with a copy on the one node, which is up and whose pool is a folder of this host, and two desktops."""
    nodes = make_nodes(1)
    base = make_base(nodes)
    request_clones(chief, Request(base, 2, "desk", chief.name))
    change(Operation, state=OperationState.DONE)
    change(Clone, state="stopped")
    change(Replica, directory=str(pool))
    change(Pool, path=str(pool))
    change(Node, observed=Observed.UP, local=True)
    monkeypatch.setattr(endpoints, "libvirt_uri", lambda _where: "test:///default")
    monkeypatch.setattr(domains, "_REMOVE_FLAGS", 0)  # the test driver knows none of them
    row = db.session.scalars(select(BaseVersion)).one()
    (pool / row.files[0].file_name).write_text("a base")
    for clone in db.session.scalars(select(Clone)):
        overlay(pool / clone.disk_file("vda"), base_file(pool, row))
    return row


@pytest.fixture
def host(version: BaseVersion) -> Iterator[libvirt.virConnect]:
    """The node's libvirt; what a test defines there is undefined afterwards."""
    with open_connection("test:///default") as connection:
        before = domains.existing(connection)
        yield connection
        for uuid in domains.existing(connection).keys() - before.keys():
            domains.undefine(connection, uuid)


def base_file(pool: Path, version: BaseVersion, number: int = 1) -> Path:
    return pool / f"ravada-base-{version.base_id}-v{number}-vda.qcow2"


def node() -> Node:
    db.session.rollback()
    return db.session.scalars(select(Node)).one()


def look(chief: User) -> dict[str, Remains]:
    operation = orphans.request_look(chief, node())
    execution.run(operation.id, 1, orphan_work.look)
    db.session.rollback()
    assert db.session.get_one(Operation, operation.id).state == OperationState.DONE
    return {row.name: row for row in db.session.scalars(select(Remains).where(Remains.cause == Cause.UNKNOWN))}


def remove() -> Operation:
    """A check sees the node, and what is to be removed there is."""
    record([Answer(node().id, Observed.UP, health=NodeHealth({}), round=1)])
    query = select(Operation).where(Operation.kind == remains.KIND, Operation.state == OperationState.WAITING)
    (operation,) = db.session.scalars(query).all()
    execution.run(operation.id, operation.attempt, return_work.reconcile)
    db.session.rollback()
    return db.session.get_one(Operation, operation.id)


def test_files_that_no_row_knows_are_listed_with_what_they_were_and_others_files_are_not(
    chief: User, version: BaseVersion, host: libvirt.virConnect, pool: Path
) -> None:
    base = base_file(pool, version)
    overlay(pool / "gone-4.89abcdef.vda.qcow2", base, 5000)
    overlay(pool / "gone-4.89abcdef.vdb.qcow2", base)
    (pool / "gone-4.89abcdef.nvram.fd").write_text("variables")
    (pool / "ravada-base-77-v3-vda.qcow2").write_text("of a base that is gone")
    (pool / "ravada-base-77-v3-vda.overlay").write_text("likewise")
    (pool / ".ravada-base-77-v4-vda.qcow2.op-999-1.part").write_text("never finished")
    used = overlay(pool / "theirs-1.01234567.vda.qcow2", base)
    domains.define_all(host, [DOMAIN.format(name="accounts", uuid="a" * 8 + "-0000-0000-0000-000000000000", path=used)])
    foreign = [
        overlay(pool / "gone-5.89abcdef.vda.qcow2", "/srv/other.qcow2"),
        overlay(pool / "gone-6.89abcdef.vda.qcow2.bak", base),
        overlay(pool / "gone-7.89ABCDEF.vda.qcow2", base),
        overlay(pool / "Gone 8.89abcdef.vda.qcow2", base),
        overlay(pool / "gone-9.89abcdef0.vda.qcow2", base),
        pool / "ravada-base-notes.txt",
        pool / "disk.qcow2",
        used,
    ]
    for path in foreign[-3:-1]:
        path.write_text("somebody's")
    (pool / "gone-3.89abcdef.vda.qcow2").symlink_to(base)
    found = look(chief)
    assert {name: (row.kind, row.base_name, len(row.files)) for name, row in found.items()} == {
        "gone-4": (RemainsKind.CLONE_FILES, "linux", 3),
        "ravada-base-77-v3": (RemainsKind.BASE_FILES, "", 2),
        ".ravada-base-77-v4-vda.qcow2.op-999-1.part": (RemainsKind.UNFINISHED, "", 1),
    }
    assert found["gone-4"].size and found["gone-4"].written_at and not found["gone-4"].runs
    with pytest.raises(Conflict) as refused:
        orphans.bring_back(chief, node(), found["gone-4"].id, "chief")
    assert refused.value.message.kind == "nodes.no_machine"
    for row in found.values():
        orphans.delete(chief, node(), row.id)
    assert remove().state == OperationState.DONE
    assert not look(chief) and not db.session.scalars(select(Remains)).all()
    left = {path.name for path in pool.iterdir()}
    ours = {base.name, *(clone.disk_file("vda") for clone in db.session.scalars(select(Clone)))}
    assert left == ours | {path.name for path in foreign} | {"gone-3.89abcdef.vda.qcow2"}


@one
def test_they_are_looked_for_by_themselves_on_many_nodes_at_a_time(
    chief: User, version: BaseVersion, pool: Path
) -> None:
    overlay(pool / "gone-4.89abcdef.vda.qcow2", base_file(pool, version))
    orphan_work.look_at_nodes([node().id])
    db.session.rollback()
    assert [row.name for row in db.session.scalars(select(Remains).where(Remains.cause == Cause.UNKNOWN))] == ["gone-4"]


@one
def test_what_was_deleted_says_by_whom(chief: User, version: BaseVersion, pool: Path) -> None:
    change(Node, observed=Observed.DOWN)
    (first, *_others) = db.session.scalars(select(Clone)).all()
    name = first.name
    actions.delete(chief, [first.id])
    change(Node, observed=Observed.UP)
    assert not look(chief), "what is left of it is known, and removed by itself"
    with transaction() as session:
        session.delete(session.scalars(select(Remains)).one())
    row = look(chief)[name]
    assert (row.reason.kind, row.reason.figures["actor"]) == ("nodes.deleted_by", "chief")


def test_an_ignored_one_is_listed_again_once_it_changes(chief: User, version: BaseVersion, pool: Path) -> None:
    path = overlay(pool / "gone-4.89abcdef.vda.qcow2", base_file(pool, version))
    row = look(chief)["gone-4"]
    orphans.ignore(chief, node(), row.id)
    look(chief)
    assert not orphans.page(chief, node()).total and orphans.count_ignored(chief, node()) == 1
    (kept,) = orphans.page(chief, node(), ignored=True).items
    assert kept.ignored_by == "chief" and kept.ignored_at
    os.utime(path, (1_000_000_000, 1_000_000_000))
    look(chief)
    (back,) = orphans.page(chief, node()).items
    assert back.ignored_by == "chief" and not orphans.count_ignored(chief, node()), "who ignored it is still known"
    with pytest.raises(Conflict):
        orphans.list_again(chief, node(), back.id)
    orphans.ignore(chief, node(), back.id)
    orphans.list_again(chief, node(), back.id)
    assert [row.ignored_by for row in orphans.page(chief, node()).items] == [""]


def test_a_machine_without_a_mark_is_known_by_its_disk_and_brought_back_for_whom_is_chosen(
    chief: User, version: BaseVersion, host: libvirt.virConnect, pool: Path
) -> None:
    make_user("bob")
    uuid = "12345678-0000-0000-0000-000000000000"
    disk = overlay(pool / "old-1.12345678.vda.qcow2", base_file(pool, version))
    domains.define_all(host, [DOMAIN.format(name="old-1", uuid=uuid, path=disk)])
    row = look(chief)["old-1"]
    assert (row.kind, row.base_name, row.version_id, row.owner_name) == ("machine", "linux", version.id, "")
    domains.start(host, uuid)
    orphans.ignore(chief, node(), row.id)
    assert look(chief)["old-1"].runs and not orphans.count_ignored(chief, node()), "its state is another one"
    domains.force_off(host, uuid)
    with pytest.raises(InvalidInput) as nobody:
        orphans.bring_back(chief, node(), row.id, "nobody")
    assert set(nobody.value.fields) == {"owner"}
    assert orphans.bring_back(chief, node(), row.id, " Bob ").owner.name == "bob"
    assert not look(chief)


@one
def test_nothing_is_an_orphan_while_a_row_of_any_node_or_work_under_way_knows_it(
    chief: User, version: BaseVersion, pool: Path
) -> None:
    """As while a desktop moves here, its base is being prepared, or an operation ends."""
    base_id = version.base_id
    moving = db.session.scalars(select(Clone).where(Clone.name == "desk-1")).one().disk_file("vda")
    with transaction() as session:
        other = Node(name="n2", address="192.0.2.2")
        session.add(other)
        session.flush()
        session.scalars(select(Clone).where(Clone.name == "desk-1")).one().node_id = other.id
        session.add(Operation(id=500, kind="base_prepare", title="Prepare", base_id=base_id))
    assert (pool / moving).exists()
    base_file(pool, version, number=2).write_text("published, and not written down yet")
    (pool / f".{base_file(pool, version, 3).name}.op-500-1.part").write_text("in work")
    change(Node, Node.name == "n1", name="n1")
    row = db.session.scalars(select(Node).where(Node.name == "n1")).one()
    operation = orphans.request_look(chief, row)
    execution.run(operation.id, 1, orphan_work.look)
    db.session.rollback()
    assert not db.session.scalars(select(Remains)).all()


@one
def test_files_of_a_base_are_no_orphans_while_orphans_stand_on_them(
    chief: User, version: BaseVersion, pool: Path
) -> None:
    unknown = pool / "ravada-base-77-v1-vda.qcow2"
    unknown.write_text("a base that is gone")
    disk = overlay(pool / "gone-4.89abcdef.vda.qcow2", unknown)
    assert set(look(chief)) == {"gone-4"}
    disk.unlink()
    assert set(look(chief)) == {"ravada-base-77-v1"}, "and what is gone is forgotten"


@one
def test_files_that_somebody_uses_by_now_are_not_deleted(
    chief: User, version: BaseVersion, host: libvirt.virConnect, pool: Path
) -> None:
    disk = overlay(pool / "gone-4.89abcdef.vda.qcow2", base_file(pool, version))
    copy = base_file(pool, version, number=9)
    copy.write_text("of a version that comes back")
    for row in look(chief).values():
        orphans.delete(chief, node(), row.id)
    domains.define_all(host, [DOMAIN.format(name="accounts", uuid="b" * 8 + "-0000-0000-0000-000000000000", path=disk)])
    with transaction() as session:
        files_of_it = [type(file)(**_copied(file)) for file in session.get_one(BaseVersion, version.id).files]
        files_of_it[0].file_name = copy.name
        made = BaseVersion(base_id=version.base_id, number=9, prepared_at=version.prepared_at, files=files_of_it)
        made.replicas = [Replica(node_id=node().id, directory=str(pool))]
        session.add(made)
    ended = remove()
    assert ended.state == OperationState.FAILED and disk.exists() and copy.exists()
    reasons = {row.reason.kind for row in db.session.scalars(select(Remains))}
    assert reasons == {"nodes.file_in_use"}
    assert not node().returning, "files alone keep no node from serving"


def _copied(file: object) -> dict[str, object]:
    names = ("target", "kind", "size", "virtual_size", "sha256", "block_size", "blocks")
    return {name: getattr(file, name) for name in names}


@one
def test_hundreds_are_asked_for_in_a_few_commands_and_written_in_a_few_queries(
    chief: User, version: BaseVersion, pool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(500):
        overlay(pool / f"gone-{number}.{number:08x}.vda.qcow2", base_file(pool, version))
    asked: list[str] = []
    run = commands.run

    def counted(*given: object, **options: object) -> bytes:
        asked.append(given[2].verb.name)  # type: ignore[attr-defined]
        return run(*given, **options)  # type: ignore[arg-type]

    for module in (files, foreign_files):
        monkeypatch.setattr(module, "run", counted)
    statements: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    assert len(look(chief)) == 500
    assert asked == ["list_ours", "read_heads"]
    assert len(statements) < 60
    statements.clear()
    page = orphans.page(chief, node(), 2)
    assert (len(page.items), page.total, page.pages) == (50, 500, 10) and len(statements) < 8


def test_names_are_ours_only_as_we_give_them() -> None:
    seen = {name: found.of if (found := named(name)) else None for name in (
        "desk-1.0123abcd.vda.qcow2", "desk-1.0123abcd.nvram.fd", "ravada-base-1-v2-vda.qcow2",
        "ravada-base-1-v2-vda.overlay", "ravada-base-1-v2-nvram.fd", ".x.op-1-2.part",
        "../desk-1.0123abcd.vda.qcow2", "desk-1.0123abcd.vda.qcow2\n", "-desk.0123abcd.vda.qcow2",
        "ravada-base-1-v2-vda.qcow2~", "ravada-base-x-v2-vda.qcow2", "ravada-base-1-v99999999999-vda.qcow2",
    )}  # fmt: skip
    assert [of for of in seen.values() if of] == [FileOf.CLONE] * 2 + [FileOf.BASE] * 3 + [FileOf.OPERATION]


def test_what_a_node_lists_is_bounded_and_odd_moments_are_moments() -> None:
    raw = b"5 8 -62135596800.5 /p/a\n5 8 99999999999999.1 /p/b\0nonsense\0" + b"5 8 1700000000.25 /p/c\0"
    seen = {file.path: file.written for file in files.parse_dated(raw)}
    assert seen == {"/p/a\n5 8 99999999999999.1 /p/b": 0, "/p/c": 1_700_000_000}
    assert next(iter(files.parse_dated(b"5 8 99999999999999.1 /p/b\0"))).written < 1 << 38
    with pytest.raises(Nonsense):
        list(files.parse_dated(b"5 8 1.0 /" + b"x" * 5000 + b"\0"))


@one
def test_whoever_may_not_change_nodes_sees_none(chief: User, version: BaseVersion, pool: Path) -> None:
    overlay(pool / "gone-4.89abcdef.vda.qcow2", base_file(pool, version))
    row = look(chief)["gone-4"]
    operator = make_user("op", Role.OPERATOR)
    assert not orphans.page(operator, node()).total and not orphans.count_ignored(operator, node())
    with pytest.raises(NotFound):
        orphans.get(chief, node(), row.id + 1)


@pytest.fixture
def real_disk(chief: User, version: BaseVersion, pool: Path) -> Path:
    """A thin disk of QEMU's own on its base, that no row knows."""
    base, disk = base_file(pool, version), pool / "gone-4.89abcdef.vda.qcow2"
    base.unlink()
    for words in (["-f", "qcow2", base, "16M"], ["-f", "qcow2", "-F", "qcow2", "-b", base, disk]):
        subprocess.run(["qemu-img", "create", "-q", *map(str, words)], check=True)
    subprocess.run(["qemu-io", "-c", "write -P 7 1M 64k", disk], check=True, stdout=subprocess.DEVNULL)
    return disk


@one
def test_disks_are_exported_whole_and_the_command_that_fetches_them_is_told(
    chief: User, host: libvirt.virConnect, pool: Path, real_disk: Path
) -> None:
    uuid = "89abcdef-0000-0000-0000-000000000000"
    domains.define_all(host, [DOMAIN.format(name="gone-4", uuid=uuid, path=real_disk)])
    row = look(chief)["gone-4"]
    domains.start(host, uuid)
    assert export(chief, row).error.kind == "nodes.export_runs"
    domains.force_off(host, uuid)
    begun = exports.request(chief, node(), row.id)
    for act in (
        lambda: orphans.bring_back(chief, node(), row.id, "chief"),
        lambda: exports.request(chief, node(), row.id),
    ):
        with pytest.raises(Conflict) as busy:
            act()
        assert busy.value.message.kind == "nodes.being_exported", "it would start while its disks are read"
    change(Operation, Operation.id == begun.id, state=OperationState.CANCELLED)
    done = export(chief, row)
    (path,) = done.result["files"]
    assert path == str(pool / "exports/gone-4.89abcdef-vda.qcow2")
    assert done.result["commands"] == [f"sudo cp {path} ."]
    seen = subprocess.run(["qemu-img", "info", "--output=json", path], check=True, capture_output=True).stdout
    assert "backing-filename" not in json.loads(seen)
    written = subprocess.run(["qemu-io", "-r", "-c", "read -P 7 1M 64k", path], check=True, capture_output=True).stdout
    assert b"Pattern verification failed" not in written
    assert export(chief, row).state == OperationState.DONE, "one of before is replaced"
    assert set(look(chief)) == {"gone-4"}, "what was exported is no orphan"
    assert [file.name for file in pool.glob(".*")] == []


def export(chief: User, row: Remains) -> Operation:
    operation = exports.request(chief, node(), row.id)
    execution.run(operation.id, operation.attempt, exports.export)
    db.session.rollback()
    return db.session.get_one(Operation, operation.id)


@one
def test_what_cannot_be_exported_is_said(chief: User, version: BaseVersion, pool: Path, real_disk: Path) -> None:
    (pool / "ravada-base-77-v3-vda.qcow2").write_text("of a base that is gone")
    found = look(chief)
    with pytest.raises(Conflict) as none:
        exports.request(chief, node(), found["ravada-base-77-v3"].id)
    assert none.value.message.kind == "nodes.nothing_to_export"
    change(Pool, floor_mib=1 << 40)
    assert export(chief, found["gone-4"]).error.kind == "storage.not_enough_room"
    overlay(real_disk, "/etc/shadow")
    assert export(chief, found["gone-4"]).error.kind == "remote.not_our_overlay", "it was changed after it was seen"
    orphans.delete(chief, node(), found["gone-4"].id)
    with pytest.raises(NotFound):
        exports.request(chief, node(), found["gone-4"].id)


def test_the_command_that_fetches_is_safe_to_run() -> None:
    far = Node(name="n2", address="fe80::1%eth0", port=2222, user="ops", local=False)
    said = exports.fetch_command(far, "/p/$(reboot) x/it's.qcow2")
    assert shlex.split(said)[:4] == ["ssh", "-p", "2222", "ops@fe80::1%eth0"]
    assert shlex.split(shlex.split(said)[4]) == ["sudo", "cat", "/p/$(reboot) x/it's.qcow2"]
