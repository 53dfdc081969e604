"""Running QEMU's tools on a disk image that may be hostile: in a place where nothing is but them and that one image,
and what an overlay of ours stands on.

The file is opened by root's shell, by its path and never through a link, and its bytes are served as they are, over a
socket, by qemu-nbd, which makes nothing of them. What reads their format is another process: of a user of its own
without any right, in a root folder that holds programs and that socket alone, without network and without sight of
other processes, and with limits of memory, processes, processor time and of what it may write. However the file is
made, it reaches nothing of the host.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from signal import SIGABRT, SIGKILL, SIGSEGV, SIGXCPU, SIGXFSZ

from ravada_web.messages import Message, message
from ravada_web.remote.commands import run
from ravada_web.remote.errors import CommandFailed, ImageRefused
from ravada_web.remote.foreign_files import OPEN, OPEN_FOURTH, refusing
from ravada_web.remote.target import Target, Workspace
from ravada_web.remote.verbs import FILE, IMAGE, NUMBER, Kind, Verb

MEMORY_KIB = 2 << 20
# Threads included, of all that is read at the same time: QEMU's tools take some 70 each.
MOST_PROCESSES = 1024
# Where the image is written that a command makes; its name in the sandbox.
OUT = "/out"
# Of a number that no distribution gives to anybody.
USER = 65533
# The status where it is the tool that has failed, and not what is made around it: that is the host's own trouble.
TOOL_FAILED = 24
# A shell's status for a program that the kernel has ended: out of memory (ABRT, SEGV, KILL), of processor time (KILL,
# XCPU), or of the bytes that it may write (XFSZ).
_STOPPED = frozenset(128 + number for number in (SIGABRT, SIGSEGV, SIGKILL, SIGXCPU, SIGXFSZ))

# The mounts are this command's own, and are gone with it, as all of its processes are: it is their first. /sys is where
# the root folder is mounted, since no image is there and nothing here needs it.
_INSIDE = (
    """
shared=$1 out=$2 memory=$3 seconds=$4 blocks=$5 base=$6; shift 6
mount -t tmpfs -o mode=0755,size=64k sandbox /sys && cd /sys && mkdir usr || exit 1
for name in bin sbin lib lib32 lib64; do
    if [ -h "/$name" ]; then ln -s "$(readlink "/$name")" "$name"
    elif [ -d "/$name" ]; then mkdir "$name" && mount --rbind "/$name" "$name"; fi || exit 1
done
mount --rbind /usr usr || exit 1
[ -z "$out" ] || { : > out && mount --bind "$out" out; } || exit 1
if [ -n "$base" ]; then
    : > base && mount --bind "$BASE" base && mount -o remount,bind,ro base || exit 1
    [ "$(stat -c %d:%i base)" = "$(stat -L -c %d:%i /proc/self/fd/4)" ] || exit 22
    exec 4<&-
fi
umask 0
ulimit -c 0
ulimit -v "$memory" || exit 1
export MALLOC_ARENA_MAX=2
source=driver=raw,force-share=$shared,file.driver=file,file.filename=/proc/self/fd/3
setpriv --bounding-set=-all,+dac_read_search --no-new-privs \
    qemu-nbd --fork --persistent --read-only --socket=/sys/image --image-opts "$source" > /dev/null || exit 1
exec 3<&-
ulimit -t "$seconds" && ulimit -f "$blocks" || exit 1
ulimit -p PROCESSES 2>/dev/null || ulimit -u PROCESSES || exit 1
env -i LC_ALL=C MALLOC_ARENA_MAX=2 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    chroot /sys setpriv --reuid=USER --regid=USER --clear-groups --bounding-set=-all --inh-caps=-all \
    --no-new-privs "$@"
status=$?
[ "$status" != 1 ] || exit FAILED
exit "$status"
""".replace("USER", str(USER))
    .replace("PROCESSES", str(MOST_PROCESSES))
    .replace("FAILED", str(TOOL_FAILED))
)

_RUN = """
inside=$1; shift
out=$2
if [ -n "$out" ]; then
    rm -f -- "$out" && (umask 077; set -C; : > "$out") && chown USER:USER -- "$out" || exit 1
fi
unshare --mount --net --ipc --uts --pid --fork --kill-child sh -c "$inside" sh "$@"
status=$?
[ -z "$out" ] || chown 0:0 -- "$out" || exit 1
exit "$status"
""".replace("USER", str(USER))


# What a layered tool's image stands on is a base of ours, seen in the sandbox as /base, and not to be written to.
_BASE = 'export BASE="$image"\n'
_IMAGE = {"driver": "nbd", "server": {"type": "unix", "path": "/image"}}


def blocks(image_format: str) -> str:
    """What QEMU's tools are told to open in the sandbox: each layer named, so that nothing is guessed or followed."""
    backing = {"backing": None} if image_format == "qcow2" else {}
    return "json:" + json.dumps({"driver": image_format, **backing, "file": _IMAGE})


def layers() -> str:
    """The same for an overlay and the image that it stands on, both qcow2."""
    # Named as a file: beside any other option QEMU would take the name that is in the overlay.
    base = {"driver": "qcow2", "backing": None, "file": {"driver": "file", "filename": "/base", "locking": "off"}}
    return "json:" + json.dumps({"driver": "qcow2", "backing": base, "file": _IMAGE})


def tool(name: str, *words: str | Kind, writes: bool = False, layered: bool = False) -> Verb:
    """One of QEMU's tools, to be run on an image by `run_on`; one that writes does so to OUT. A layered one is told the
    image's backing file first."""
    place = ("off", FILE, str(MEMORY_KIB), NUMBER, NUMBER) if writes else ("on", "", str(MEMORY_KIB), NUMBER, "0")
    opened = (OPEN_FOURTH + _BASE + OPEN + _RUN, "sh", IMAGE, IMAGE) if layered else (OPEN + _RUN, "sh", IMAGE)
    return Verb(name, ("sh", "-c", *opened, _INSIDE, *place, "base" if layered else "", *words))


@dataclass(frozen=True)
class Writing:
    """What a command writes, to OUT in the sandbox: the file's path on the node, a temporary name that is overwritten,
    and so many bytes at most."""

    path: str
    most: int


def run_on(
    workspace: Workspace,
    target: Target,
    path: str,
    verb: Verb,
    *formats: str,
    deadline: float,
    step: Message | str,
    cpu_seconds: float | None = None,
    writing: Writing | None = None,
    base: str = "",
    on_output: Callable[[bytes], object] | None = None,
) -> bytes:
    """Run one of QEMU's tools (see `tool`) on the image at `path`, with what it is told of formats; returns its output.
    What only reads may do so while another process has the image open.

    `base` is the backing file, for a layered tool. `deadline` in seconds, and `cpu_seconds` of the processor, by
    default as many. Raises ImageRefused for what is no plain file of one name, or goes beyond the limits, and what
    `run` raises.
    """
    out: list[str] = [writing.path] if writing else []
    blocks_written = [math.ceil(writing.most / 512)] if writing else []
    call = verb(*([base] if base else []), path, *out, math.ceil(cpu_seconds or deadline), *blocks_written, *formats)
    try:
        with refusing(path):
            return run(workspace, target, call, deadline=deadline, step=step, on_output=on_output)
    except CommandFailed as error:
        if error.status in _STOPPED:
            raise ImageRefused(message("remote.beyond_limits", path=path, step=step)) from error
        raise
