"""The product's processes, as `ps` shows them."""

from contextlib import suppress
from pathlib import Path

MARK = "ravada: "


def name_of(pid: int) -> str:
    """The name of a process of the product; "" for any other, and one that is gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        if line.startswith(MARK):
            return line.removeprefix(MARK)
    return ""


def children(pid: int) -> list[int]:
    """The processes that a process has started; [] where it is gone."""
    return _by_parent().get(pid, [])


def tree(pid: int) -> list[int]:
    """A process and all that descend from it."""
    found, by_parent = [pid], _by_parent()
    for each in found:
        found += by_parent.get(each, [])
    return found


def _by_parent() -> dict[int, list[int]]:
    """All processes, by the one that started them.

    Each is asked for its parent: the kernel's own list of children may miss some while another of them ends
    (proc_pid_children(5)).
    """
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError):
                line = (entry / "stat").read_text(errors="replace")
                found.setdefault(int(line.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    return found


def children_by_name(pid: int) -> dict[str, int]:
    """The processes that the parent `pid` has forked, by their names."""
    return {name: child for child in children(pid) if (name := name_of(child))}


def pss_mib(pid: int) -> float:
    """The memory of a process, what it shares divided among those who share it; 0 for one that is gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return 0.0
