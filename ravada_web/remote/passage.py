"""A passage for a running guest from node to node: two sockets on each, forwarded through us over the nodes' carriers,
or, where one has none, by an SSH process of our own, which dies with whoever opened it. Nothing listens on a network,
and neither node trusts the other."""

import os
import pwd
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ravada_web.messages import message
from ravada_web.messages.foreign import printable
from ravada_web.remote import failures, ssh
from ravada_web.remote.commands import run
from ravada_web.remote.errors import DeadlineExceeded, NodeUnreachable, RemoteError
from ravada_web.remote.ssh_log import SshLog
from ravada_web.remote.target import Target, Workspace, accepts
from ravada_web.remote.verbs import NUMBER, Kind, matching, script

OPEN_SECONDS, CLOSE_SECONDS = 15.0, 10.0
TAIL_BYTES = 8192
# What AppArmor's profile of a guest lets QEMU have below /run/libvirt ends so, with the guest's name.
_CALLED = "tunnelmigrate.dest"
_KEY = Kind(matching(re.compile(r"[0-9a-f]{8}")))
_USER = Kind(matching(re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")))

# A folder of QEMU's user alone; a login that is not root is let in too, and to the sockets that are made there. What a
# former attempt has left goes first: a socket that is there cannot be bound to. So does what is a week old.
MAKE_ROOM = """
folder=/run/libvirt/ravada-move-$1
find /run/libvirt -maxdepth 1 -name 'ravada-move-*' -mmin +10080 -exec rm -rf -- {} +
rm -rf -- "$folder" && mkdir -m 0700 -- "$folder" && chown -- "$2" "$folder" || exit 1
[ "$3" = root ] || setfacl -m "u:$3:rwx,d:u:$3:rwx,d:u:$2:rwx" -- "$folder"
"""
REMOVE_ROOMS = 'for key; do rm -rf -- "/run/libvirt/ravada-move-$key" || exit; done'
# sshd has bound both, which it does some time after it has let us in.
AWAIT_SOCKETS = """
left=150
until [ "$(find "/run/libvirt/ravada-move-$1" -type s | wc -l)" -ge 2 ]; do
    left=$((left - 1)); [ "$left" -gt 0 ] || { echo "the sockets were not made" >&2; exit 1; }
    sleep 0.05
done
"""
MAKING = script("make_move_room", MAKE_ROOM, _KEY, NUMBER, _USER)
REMOVING = script("remove_move_rooms", REMOVE_ROOMS, each=_KEY)
AWAITING = script("await_move_sockets", AWAIT_SOCKETS, _KEY)


@dataclass(frozen=True)
class End:
    """A node of the passage, and the number of its QEMU's user."""

    where: Target
    qemu_uid: int


@dataclass(frozen=True)
class Passage:
    """The sockets, by the same paths on both nodes: one for the guest's memory, one for its disks. On the target QEMU
    listens there; on the source what connects there reaches it."""

    memory: str
    disks: str

    @property
    def both(self) -> tuple[str, str]:
        """Both paths."""
        return self.memory, self.disks


def passage_of(uuid: str, name: str) -> Passage:
    """Sockets for the domain of that UUID and name. A carrier may still listen at those of a killed attempt, so no two
    attempts have the same."""
    folder, mark = f"/run/libvirt/ravada-move-{uuid[:8]}", secrets.token_hex(2)
    return Passage(f"{folder}/m{mark}.{_CALLED}.{name}", f"{folder}/d{mark}.{_CALLED}.{name}")


@contextmanager
def opened(workspace: Workspace, source: End, target: End, uuid: str, name: str) -> Iterator[Passage]:
    """Open it, and close it with the block: no process, socket or folder of it stays, as far as the nodes answer.

    Raises RemoteError.
    """
    passage = passage_of(uuid, name)
    with ExitStack() as ends:
        for end in (source, target):
            ends.callback(_remove_room, workspace, end.where, uuid)
            user = _login() if end.where.local else end.where.user
            call = MAKING(uuid[:8], end.qemu_uid, user)
            run(workspace, end.where, call, deadline=CLOSE_SECONDS, step=message("remote.step_passage"))
        forwarders = _forward(workspace, source.where, target.where, uuid, passage, ends)
        listening = [forwarder.wait_ready() for forwarder in forwarders]
        if not all(listening):
            call = AWAITING(uuid[:8])
            run(workspace, source.where, call, deadline=OPEN_SECONDS, step=message("remote.step_passage"))
        yield passage


def _login() -> str:
    """The name of the user that this process is, whatever its environment says."""
    return pwd.getpwuid(os.geteuid()).pw_name


def close(workspace: Workspace, where: Target, uuid: str) -> None:
    """Remove what a passage has left on a node, and here, whose opener was killed. Raises RemoteError."""
    _remove_between(workspace, uuid)
    remove_rooms(workspace, where, [uuid])


def remove_rooms(workspace: Workspace, where: Target, uuids: Sequence[str]) -> None:
    """Remove what passages of these domains have left on a node. Raises RemoteError."""
    if uuids:
        keys = [uuid[:8] for uuid in uuids]
        run(workspace, where, REMOVING(*keys), deadline=CLOSE_SECONDS, step=message("remote.step_passage"))


def _remove_room(workspace: Workspace, where: Target, uuid: str) -> None:
    with suppress(RemoteError):  # the next passage of this guest removes it
        close(workspace, where, uuid)


def _between(workspace: Workspace, uuid: str) -> list[Path]:
    """Our own sockets between the two nodes."""
    return [workspace.run_dir / f"m{uuid[:8]}.{number}" for number in range(2)]


def _remove_between(workspace: Workspace, uuid: str) -> None:
    for path in _between(workspace, uuid):
        path.unlink(missing_ok=True)


def _forward(
    workspace: Workspace, source: Target, target: Target, uuid: str, passage: Passage, ends: ExitStack
) -> "list[_Shared | _Forwarder]":
    """Start what forwards the source's sockets to the target's: one for each node that is not this host, side by side.
    They end with the block."""
    here = [str(path) for path in _between(workspace, uuid)]
    ways = {
        target: [("-L", a, b) for a, b in zip(passage.both if source.local else here, passage.both, strict=True)],
        source: [("-R", b, a) for a, b in zip(passage.both if target.local else here, passage.both, strict=True)],
    }
    if not source.local and not target.local:
        _remove_between(workspace, uuid)  # what a killed attempt has left cannot be bound to
        ends.callback(_remove_between, workspace, uuid)
    return [
        forward(workspace, where, [word for way, listens, to in forwards for word in (way, f"{listens}:{to}")], ends)
        for where, forwards in ways.items()
        if not where.local
    ]


def forward(workspace: Workspace, where: Target, words: Sequence[str], ends: ExitStack) -> "_Shared | _Forwarder":
    """Start what forwards as these words of ssh's ask for, such as "-L", "HERE:THERE". It ends with the block."""
    kind = _Shared if accepts(workspace.carrier(where)) else _Forwarder
    started = kind(workspace, where, words)
    ends.callback(started.end)
    return started


class _Shared:
    """The node's carrier that forwards, each from a socket to a socket, until it is told to end that, or ends."""

    def __init__(self, workspace: Workspace, where: Target, words: Sequence[str]) -> None:
        self._where, self._control, self._words = where, workspace.carrier(where), words
        self._asked = self._ask("forward")

    def _ask(self, verb: str) -> "subprocess.Popen[bytes]":
        command = ["ssh", "-F", "/dev/null", "-O", verb, *self._words, "-S", str(self._control), "--", self._where.host]
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, process_group=0
        )

    def wait_ready(self) -> bool:
        """Wait until it does; then it listens, which is returned. Raises RemoteError."""
        said = self._wait(OPEN_SECONDS)
        if self._asked.returncode:
            raise NodeUnreachable("lost", message("remote.no_forward", name=self._where.name, said=printable(said)))
        return True

    def _wait(self, seconds: float) -> bytes:
        try:
            return self._asked.communicate(timeout=seconds)[1]
        except subprocess.TimeoutExpired:
            self._asked.kill()
            return self._asked.communicate()[1]

    def end(self) -> None:
        """End it."""
        self._wait(0)
        self._asked = self._ask("cancel")
        self._wait(CLOSE_SECONDS)


class _Forwarder:
    """An ssh that forwards, each from a socket to a socket; it ends with this process."""

    def __init__(self, workspace: Workspace, where: Target, words: Sequence[str]) -> None:
        self._where, self._log = where, SshLog()
        options = ("-N", "-o", "ExitOnForwardFailure=yes", "-o", "ControlPath=none", *words)
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *ssh.command(workspace, where, *options, log=self._log, control=None)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )

    def wait_ready(self) -> bool:
        """Wait until it has logged in; returns that it may not listen yet. Raises RemoteError."""
        limit = time.monotonic() + OPEN_SECONDS
        while not failures.logged_in(self._log.tail()):
            if self._process.poll() is not None:
                raise failures.classify(self._where, self._log.tail()) or failures.closed(self._where)
            if time.monotonic() > limit:
                step = message("remote.step_login")
                late = message("remote.deadline", name=self._where.name, step=step, deadline_seconds=OPEN_SECONDS)
                raise DeadlineExceeded(late)
            time.sleep(0.02)
        return False

    def end(self) -> None:
        """End it."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._log.close()
