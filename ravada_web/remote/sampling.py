"""How a node is: the one cheap command that checks SSH and reads load, memory and the disks' room."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ravada_web.messages import message
from ravada_web.messages.foreign import real, whole
from ravada_web.remote.commands import run
from ravada_web.remote.files import ROOM, STAT, FileState, parse_room, parse_stat
from ravada_web.remote.reading import reading
from ravada_web.remote.target import Target, Workspace
from ravada_web.remote.verbs import SEEN, script

# The shell's own `read` where it will do: each program started costs a node a millisecond, every 5 s.
SCRIPT = """
read -r load rest < /proc/loadavg && echo "load $load"
while read -r key value unit; do
    case $key in MemTotal:) echo "total $value" ;; MemAvailable:) echo "available $value"; break ;; esac
done < /proc/meminfo
date "+now %s.%N"
id=; { read -r id < /etc/machine-id; } 2>/dev/null
nologin=; [ ! -e /run/nologin ] || nologin=nologin
boot=; { read -r boot < /proc/sys/kernel/random/boot_id; } 2>/dev/null
stat=; { read -r stat < /proc/1/stat; } 2>/dev/null
began() { echo "id $id $nologin $boot.${20}"; }
began ${stat##*)}
"""
# More than any host has: processes that wait, memory (1 PiB), and seconds since 1970 (the year 36812).
MOST_LOAD, MOST_KIB, MOST_SECONDS = 1e7, 1 << 40, 1 << 40
_MACHINE_ID = re.compile(rb"[0-9a-f]{32}")
_BOOT = re.compile(rb"[0-9a-f-]{0,36}\.[0-9]{0,20}")
# A path that is not there costs its own line, not the others'.
WITH_DISKS = f'{SCRIPT}{ROOM} "$@" 2>/dev/null || :\n'
WITH_FILES = WITH_DISKS + STAT
SAMPLE = script("sample", SCRIPT)
SAMPLE_DISKS = script("sample_disks", WITH_DISKS, each=SEEN)
SAMPLE_FILES = script("sample_files", WITH_FILES, each=SEEN)


@dataclass(frozen=True)
class Sample:
    """What was seen of a node. `disks`: {path: (bytes in all, bytes free)}, without paths that are not there.

    `now` is the node's own clock, in seconds since the epoch. `files` are those that were asked about, without the
    missing ones. `machine_id` is "" where the host has none. `nologin`: the host is starting up or shutting down, as
    systemd marks it (systemd-user-sessions.service(8)): a connection of before may go on all that time. `boot` is
    another one after each start of the host: the kernel's own boot ID, and when its first process began, since
    containers have the boot ID of their host; "" where it says neither.
    """

    load1: float
    memory_total_mib: int
    memory_available_mib: int
    disks: dict[str, tuple[int, int]]
    now: float
    files: Mapping[str, FileState] = field(default_factory=dict)
    machine_id: str = ""
    nologin: bool = False
    boot: str = ""


def sample(
    workspace: Workspace,
    target: Target,
    paths: Sequence[str],
    deadline: float,
    fresh: bool = False,
    files: Sequence[str] = (),
) -> Sample:
    """Sample a node; `paths` are its pools' folders, `files` what is looked at beside them. Raises what `run` raises;
    `fresh` as there."""
    verb = SAMPLE_FILES if files else SAMPLE_DISKS if paths else SAMPLE
    step = message("remote.step_check")
    raw = run(workspace, target, verb(*paths, *files), deadline=deadline, fresh=fresh, step=step)
    with reading(target.name, step):
        return _parse(raw, paths)


def _parse(raw: bytes, paths: Sequence[str]) -> Sample:
    lines = raw.split(b"\n", 5)
    named = {key: value for key, _blank, value in (line.partition(b" ") for line in lines[:5])}
    machine_id, mark, boot = [*named[b"id"].split(b" "), b"", b""][:3]
    return Sample(
        load1=real(named[b"load"], MOST_LOAD),
        memory_total_mib=whole(named[b"total"], MOST_KIB) // 1024,
        memory_available_mib=whole(named[b"available"], MOST_KIB) // 1024,
        disks=parse_room(lines[5], paths) if len(lines) > 5 else {},
        # busybox has no fractions of a second.
        now=real(named[b"now"].removesuffix(b".%N"), MOST_SECONDS),
        files=parse_stat(lines[5]) if len(lines) > 5 else {},
        machine_id=_machine_id(machine_id),
        nologin=mark == b"nologin",
        boot=boot.decode() if _BOOT.fullmatch(boot) and boot != b"." else "",
    )


def _machine_id(value: bytes) -> str:
    """The machine ID, "" for what is none (machine-id(5))."""
    return value.decode() if _MACHINE_ID.fullmatch(value) else ""
