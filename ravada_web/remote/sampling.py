"""How a node is: the one cheap command that checks SSH and reads load, memory and the disks' room."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ravada_web.messages import message
from ravada_web.remote.commands import run
from ravada_web.remote.errors import CommandFailed
from ravada_web.remote.files import DF, parse_df
from ravada_web.remote.target import Target, Workspace, checked_path

# The shell's own `read` where it will do: each program started costs a node a millisecond, every 5 s.
SCRIPT = """
read -r load rest < /proc/loadavg && echo "load $load"
while read -r key value unit; do
    case $key in MemTotal:) echo "total $value" ;; MemAvailable:) echo "available $value"; break ;; esac
done < /proc/meminfo
date "+now %s.%N"
"""
# without paths df would list the current folder
WITH_DISKS = SCRIPT + DF


@dataclass(frozen=True)
class Sample:
    """What was seen of a node. `disks`: {path: (bytes in all, bytes free)}, without paths that are not there.

    `now` is the node's own clock, in seconds since the epoch.
    """

    load1: float
    memory_total_mib: int
    memory_available_mib: int
    disks: dict[str, tuple[int, int]]
    now: float


def sample(workspace: Workspace, target: Target, paths: Sequence[str], deadline: float, fresh: bool = False) -> Sample:
    """Sample a node; `paths` are its pools' folders. Raises what `run` raises; `fresh` as there."""
    script = WITH_DISKS if paths else SCRIPT
    argv = ["sh", "-c", script, "sh", *map(checked_path, paths)]
    raw = run(workspace, target, argv, deadline=deadline, fresh=fresh, step=message("remote.step_check"))
    try:
        return _parse(raw.decode(errors="replace").splitlines())
    except (KeyError, ValueError) as error:
        raise CommandFailed(
            target.name, message("remote.step_check"), 0, message("remote.unreadable_answer")
        ) from error


def _parse(lines: Sequence[str]) -> Sample:
    named = dict(line.split(" ", 1) for line in lines[:4])
    return Sample(
        load1=_finite(named["load"]),
        memory_total_mib=int(named["total"]) // 1024,
        memory_available_mib=int(named["available"]) // 1024,
        disks=parse_df(lines[4:]),
        now=_finite(named["now"]),
    )


def _finite(word: str) -> float:
    """A number of the node's. Raises ValueError for what is none, or infinite."""
    number = float(word)
    if not math.isfinite(number):
        raise ValueError(word)
    return number
