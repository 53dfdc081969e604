"""Bases of files that are no honest images: refused before anything is written, with what to do; and what the work on
images leaves behind when it is killed is swept."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.hypervisor.domain_xml import Disk
from ravada_web.messages import Message
from ravada_web.messages.message import SENTENCES
from ravada_web.models import Base, Node, Operation, OperationState, Pool
from ravada_web.remote import images, overlays
from ravada_web.remote.errors import CommandFailed
from ravada_web.remote.target import Target
from ravada_web.services.bases import actions as base_actions
from ravada_web.services.bases import source_images
from ravada_web.services.nodes import endpoints
from ravada_web.services.storage import leftovers
from ravada_web.services.storage.file_names import temporary_name
from tests.conftest import People
from tests.support.factories import change, make_nodes, make_operation
from tests.support.images import bomb, descriptor, qcow2, vmdk_around

HERE = Target(1, "n1", "", 0, "", "", local=True)


@pytest.fixture
def pool(people: People, tmp_path: Path) -> Path:
    """The pool of the master, a folder of this host."""
    make_nodes(1)
    (tmp_path / "pool").mkdir()
    change(Node, Node.id == 1, local=True)
    change(Pool, Pool.node_id == 1, path=str(tmp_path / "pool"))
    return tmp_path / "pool"


def imported(people: People, drain: Callable[[], None], path: Path) -> Operation:
    """The import of that file, when it has ended."""
    values = {"source": "file", "paths": str(path), "memory_mib": 128, "vcpus": 1}
    row = base_actions.request_import(people.administrator, name="linux", description="", **values)  # type: ignore[arg-type]
    drain()
    db.session.rollback()
    return db.session.get_one(Operation, row.id)


def said(operation: Operation) -> list[Message]:
    """The sentences of its error."""
    error = operation.error
    return error.figures["items"] if error.kind == SENTENCES else [error]  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("content", "kind", "command"),
    [
        (descriptor("/etc/shadow"), "remote.refers", ""),
        (vmdk_around(descriptor("/etc/shadow")), "remote.refers", ""),
        (qcow2(backing=b"/etc/shadow"), "remote.backing_file", "qemu-img convert -f qcow2"),
        (qcow2(data_file=b"/etc/shadow"), "remote.data_file", "qemu-img convert -f qcow2"),
        (qcow2(virtual_size=1 << 60), "remote.image_too_large", ""),
        (qcow2(refcount_clusters=1 << 30), "remote.huge_tables", ""),
        (qcow2(encryption=2), "remote.encrypted", "encrypt.key-secret"),
        (b"vhdxfile" + bytes(1 << 20), "remote.not_of_format", ""),
        (b"WithoutFreeSpace" + bytes(1 << 20), "bases.other_format", "qemu-img convert -f parallels"),
        (b"QED\0" + bytes(12) + b"\1" + bytes(1 << 20), "remote.refers", ""),
        (bytes(1 << 20), "bases.other_format", "qemu-img convert -f raw"),
        (b"root:x:0:0:root:/root:/bin/bash\n", "remote.not_of_format", ""),
    ],
)
def test_what_is_no_plain_qcow2_is_refused_with_what_to_do(
    people: People, drain: Callable[[], None], pool: Path, content: bytes, kind: str, command: str
) -> None:
    path = pool / "a, b=c.qcow2"
    path.write_bytes(content)
    failed = imported(people, drain, path)
    assert failed.state == OperationState.FAILED and failed.result["field"] == "paths"
    assert [text.kind for text in said(failed)] == [kind, *(["bases.fix_with"] if command else [])]
    assert command in str(failed.error)
    assert db.session.scalar(select(Base.id)) is None
    assert [path.name for path in pool.iterdir()] == [path.name]


def test_a_link_in_the_pool_is_refused_and_its_end_is_shown_how(
    people: People, drain: Callable[[], None], pool: Path, tmp_path: Path
) -> None:
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", tmp_path / "real.qcow2", "1M"], check=True)
    (pool / "link.qcow2").symlink_to(tmp_path / "real.qcow2")
    (pool / "hard.qcow2").hardlink_to(tmp_path / "real.qcow2")
    for name, kind, command in (
        ("link", "remote.not_plain_link", "readlink -f"),
        ("hard", "remote.not_plain_names", "cp --reflink"),
    ):
        failed = imported(people, drain, pool / f"{name}.qcow2")
        assert [text.kind for text in said(failed)] == [kind, "bases.fix_with"]
        assert command in str(failed.error)


@pytest.mark.parametrize(
    ("declared", "content", "kind", "command"),
    [
        ("raw", bytes(1 << 20), "", ""),
        ("raw", qcow2(backing=b"/etc/shadow"), "bases.raw_like_another", "qemu-img convert -f raw"),
        ("raw", descriptor("/etc/shadow"), "bases.raw_like_another", "qemu-img convert -f raw"),
        ("raw", b"LUKS\xba\xbe" + bytes(1 << 20), "remote.encrypted_inside", "driver=luks"),
        ("vmdk", descriptor("/etc/shadow"), "remote.refers", ""),
        ("vmdk", vmdk_around(descriptor("/etc/shadow")), "remote.refers", ""),
        ("parallels", b"WithoutFreeSpace" + bytes(1 << 20), "remote.no_format", "qemu-img convert -f parallels"),
        ("vpc", bytes(1 << 20), "bases.other_format", "qemu-img convert -f raw"),
    ],
)
def test_a_disk_of_a_virtual_machine_is_what_its_definition_says_or_refused(
    people: People, pool: Path, declared: str, content: bytes, kind: str, command: str
) -> None:
    path = pool / "disk"
    path.write_bytes(content)
    found = source_images.findings(db.session.get_one(Node, 1), Disk("vda", str(path), declared, "disk"))
    assert [finding.text.kind for finding in found] == ([kind] if kind else [])
    assert all(command in finding.remedy for finding in found)


def test_a_small_image_that_becomes_a_large_one_is_refused_for_want_of_room(
    people: People, drain: Callable[[], None], pool: Path
) -> None:
    assert not imported(people, drain, bomb(pool / "bomb.qcow2", 4 << 30)).error
    free = shutil.disk_usage(pool).free >> 20
    change(Pool, Pool.node_id == 1, floor_mib=free - 2048, total_mib=free * 2)
    row = base_actions.prepare(people.administrator, db.session.scalars(select(Base)).one())
    drain()
    db.session.rollback()
    failed = db.session.get_one(Operation, row.id)
    assert failed.error.kind == "storage.not_enough_room"
    assert int(failed.error.figures["need_mib"]) >= 4096  # type: ignore[arg-type]
    assert [path.name for path in pool.iterdir()] == ["bomb.qcow2"]


def test_an_image_that_is_replaced_after_its_import_is_not_copied(
    people: People, drain: Callable[[], None], pool: Path
) -> None:
    path = pool / "disk.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "1M"], check=True)
    assert not imported(people, drain, path).error
    path.write_bytes(qcow2(backing=b"/etc/shadow"))
    row = base_actions.prepare(people.administrator, db.session.scalars(select(Base)).one())
    drain()
    db.session.rollback()
    assert said(db.session.get_one(Operation, row.id))[0].kind == "remote.backing_file"
    assert [path.name for path in pool.iterdir()] == ["disk.qcow2"]


@pytest.fixture
def killed_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Has the shell that runs a program on this host be killed by it, with no time to clean up."""

    def stand_in(program: str) -> None:
        folder = tmp_path / f"in place of {program}"
        folder.mkdir()
        (folder / program).write_text("#!/bin/sh\nkill -9 $PPID\n")
        (folder / program).chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    return stand_in


def test_what_killed_work_on_files_leaves_is_known_as_its_attempts_and_swept(
    people: People, pool: Path, tmp_path: Path, killed_at: Callable[[str], None]
) -> None:
    operation = make_operation("base_prepare", state=OperationState.RUNNING, attempt=1)
    token, workspace = f"op-{operation.id}-1", endpoints.workspace()
    base, template = pool / "base.qcow2", pool / "base.overlay"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", base, "1M"], check=True)
    overlays.make_template(workspace, HERE, str(base), str(template), 1 << 20, token)
    part = pool / temporary_name("base.qcow2", token)
    kept = {path.name for path in pool.iterdir()}
    works: dict[str, Callable[[], object]] = {
        "chown": lambda: images.flatten(workspace, HERE, str(base), "qcow2", str(part)),
        "qemu-img": lambda: overlays.make_template(workspace, HERE, str(base), str(template), 1 << 20, token),
        "tee": lambda: overlays.make_overlays(workspace, HERE, str(template), [str(pool / "clone.qcow2")], token),
    }
    for program, work in works.items():
        killed_at(program)
        with pytest.raises(CommandFailed):
            work()
    left = {path.name for path in pool.iterdir()} - kept
    assert len(left) == len(works)
    leftovers.sweep(HERE, [str(pool)])
    assert {path.name for path in pool.iterdir()} - kept == left, "a live attempt's are left to it"
    change(Operation, Operation.id == operation.id, attempt=2)
    leftovers.sweep(HERE, [str(pool)])
    assert {path.name for path in pool.iterdir()} == kept
