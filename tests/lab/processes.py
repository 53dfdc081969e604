"""A node whose process table is full: by the pids controller of cgroups, as it is on this host."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.node import LabNode, shell

VERSION_1, VERSION_2 = Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")


@contextmanager
def full_process_table(node: LabNode) -> Iterator[None]:
    """Whatever runs there runs on, and nothing new can be started, until the block ends."""
    root = VERSION_1 if VERSION_1.is_dir() else VERSION_2
    if root == VERSION_2:
        (root / "cgroup.subtree_control").write_text("+pids")
    group = root / f"lab-{node.name}"
    group.mkdir(exist_ok=True)
    try:
        _move(shell("ip", "netns", "pids", node.space).split(), group)
        (group / "pids.max").write_text("1")
        yield
    finally:
        (group / "pids.max").write_text("max")
        _move((group / "cgroup.procs").read_text().split(), root)
        group.rmdir()


def _move(pids: list[str], group: Path) -> None:
    for pid in pids:
        try:
            (group / "cgroup.procs").write_text(pid)
        except ProcessLookupError:
            continue
