"""One long-lived OpenSSH connection a node, kept up by one process; libvirt's socket and commands go over it. A node
that desktops move from or to has a second one meanwhile, its carrier, for what would delay the first."""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass

from ravada_web.clock import now
from ravada_web.guard import guarded
from ravada_web.messages import NOTHING, Message, message
from ravada_web.remote import failures, ssh
from ravada_web.remote.errors import DeadlineExceeded, LinksTaken, NodeUnreachable, RemoteError
from ravada_web.remote.knock import Knock
from ravada_web.remote.ssh_log import SshLog
from ravada_web.remote.target import LIBVIRT_SOCKET, Target, Workspace, accepts

FIRST_DELAY = 0.5
LONGEST_DELAY = 5.0
# A link that lived this long was a good one: the next failure is retried at once again.
GOOD_LIFE = 10.0
# OpenSSH bounds connecting and the key exchange by itself, but not a server that hangs while logging in.
START_SECONDS = 15.0
# Setting up a link costs 0.2 CPU-seconds: all of a thousand nodes at once would time out together.
STARTING_AT_ONCE = 32
TAIL_BYTES, PIECE = 4096, 65536
# A carrier that nothing has asked for so long is ended: the moves of one plan follow each other sooner.
IDLE_SECONDS = 10.0
# A link that is made anew is given so long before it is made anew again.
RENEW_SECONDS = 30.0


@dataclass(frozen=True)
class LinkState:
    """Whether a node's link is up, since when (seconds since the epoch), and if not, why."""

    up: bool
    since: float
    reason: Message


class Link:
    """One node's connection: its process, and what is known of it. Times are monotonic seconds.

    It forwards `remote_socket`; one without is the node's carrier."""

    def __init__(self, workspace: Workspace, target: Target, remote_socket: str | None) -> None:
        self.target = target
        self.state = LinkState(False, now().timestamp(), message("remote.link_starting", name=target.name))
        self.retry_at = 0.0
        self._workspace = workspace
        self._remote_socket = remote_socket
        self._control = workspace.control(target) if remote_socket else workspace.carrier(target)
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._delay = 0.0
        self._log: SshLog | None = None
        self._said = b""
        # Nothing answered the last time: no ssh is started for it before anything does.
        self._silent = False
        self._knock: Knock | None = None

    @property
    def starting(self) -> bool:
        """Whether a process runs that has not come up yet."""
        return self._process is not None and not self.state.up

    @property
    def due(self) -> bool:
        """Whether it has no process and may have one now."""
        return self._process is None and time.monotonic() >= self.retry_at

    def is_answered(self) -> bool:
        """Whether starting it is worth an ssh, and a place among those that start: not while its node is silent. It
        returns at once."""
        if not self._silent:
            return True
        self._knock = self._knock or Knock(self.target.host, self.target.port)
        answer = self._knock.answer
        if answer is None:
            return False
        self._end_knock()
        self._silent = not answer
        if not answer:
            node = self.target
            self._set_state(False, message("remote.no_answer", name=node.name, host=node.host, port=node.port))
        return answer

    def _end_knock(self) -> None:
        if self._knock is not None:
            self._knock.close()
            self._knock = None

    def start(self) -> None:
        """Start the connection; returns at once."""
        self._remove_sockets()
        options = ("-N", "-M", "-o", "ExitOnForwardFailure=yes", "-o", "StreamLocalBindUnlink=yes")
        local = self._workspace.libvirt_socket(self.target)
        forward = ("-L", f"{local}:{self._remote_socket}") if self._remote_socket else ()
        self._log = SshLog()
        command = ssh.command(self._workspace, self.target, *options, *forward, log=self._log, control=self._control)
        # setpriv: a keeper that is killed takes its links along. The signal comes when the *thread* ends that
        # started them, so a keeper's reconcile() belongs to a thread that lives as long as it.
        self._process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        assert self._process.stderr
        os.set_blocking(self._process.stderr.fileno(), False)
        self._started, self._said = time.monotonic(), b""

    def refresh(self) -> None:
        """Update the state from the process."""
        if self._process is None:
            return
        self._listen(self._process)
        self._reported()
        if self._process.poll() is not None:
            self._ended()
        elif not self.state.up and accepts(self._control):
            self._set_state(True, NOTHING)
        elif not self.state.up and time.monotonic() - self._started > START_SECONDS:
            os.killpg(self._process.pid, signal.SIGKILL)
            step = message("remote.step_login")
            self._ended(failures.late(self.target, step, START_SECONDS, self._reported(), self._said))

    def _listen(self, process: "subprocess.Popen[bytes]") -> None:
        """Keep the end of what the host says; unread, its pipe would fill up and block ssh."""
        assert process.stderr
        # One piece a time: a host that never ends to speak would hold up all others.
        with suppress(BlockingIOError):
            self._said = (self._said + os.read(process.stderr.fileno(), PIECE))[-TAIL_BYTES:]

    def _reported(self) -> bytes:
        return self._log.tail() if self._log else b""

    def _ended(self, error: RemoteError | None = None) -> None:
        assert self._process
        self._listen(self._process)
        good = self.state.up and time.monotonic() - self._started >= GOOD_LIFE
        self._delay = 0.0 if good else self._delay
        self._put_off()
        error = error or failures.classify(self.target, self._reported(), self._said)
        self._silent = error is not None and _is_silence(error)
        self._set_state(False, (error or failures.closed(self.target, self._said)).message)
        self.stop()

    def fail(self, reason: Message) -> None:
        """Give it up for a while: something on this host is in its way."""
        self._put_off()
        self._set_state(False, reason)
        self.stop()

    def _put_off(self) -> None:
        self._delay = min(2 * self._delay, LONGEST_DELAY) if self._delay else FIRST_DELAY
        self.retry_at = time.monotonic() + self._delay

    def _set_state(self, up: bool, reason: Message) -> None:
        since = self.state.since if up == self.state.up else now().timestamp()
        self.state = LinkState(up, since, reason)

    def stop(self) -> None:
        """End the process, if any, and remove its sockets."""
        self._end_knock()
        if self._process is not None:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            assert self._process.stderr
            self._process.stderr.close()
            self._process = None
        if self._log is not None:
            self._log.close()
            self._log = None
        self._remove_sockets()

    def _remove_sockets(self) -> None:
        local = [self._workspace.libvirt_socket(self.target)] if self._remote_socket else []
        for path in (self._control, *local):
            with suppress(OSError):  # then ssh says what is in its way
                path.unlink(missing_ok=True)


class LinkKeeper:
    """Keeps the links of one folder; there is one keeper a folder. Raises LinksTaken where another runs.

    Call `reconcile` often (every half second or so), always from one long-lived thread. It never waits for a
    node.
    """

    def __init__(self, workspace: Workspace, remote_socket: str = LIBVIRT_SOCKET) -> None:
        self._workspace = workspace
        self._remote_socket = remote_socket
        self._links: dict[int, Link] = {}
        self._carriers: dict[int, Link] = {}
        # When each node's was last asked for.
        self._asked_at: dict[int, float] = {}
        self._began = now().timestamp()
        workspace.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = (workspace.run_dir / "links.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._lock.close()
            raise LinksTaken(message("remote.links_taken", folder=str(workspace.run_dir))) from error
        self._sweep()

    def _sweep(self) -> None:
        """Remove the sockets that a killed keeper left; its connections died with it."""
        for pattern in ("n*.ctl*", "n*.lv", "n*.mov*", "d*.vnc"):
            for path in self._workspace.run_dir.glob(pattern):
                with suppress(OSError):
                    path.unlink(missing_ok=True)

    def reconcile(self, targets: Iterable[Target], carrying: Collection[int] = ()) -> dict[int, LinkState]:
        """Start and stop links to match `targets`; returns their states by node id. Those whose ids are in `carrying`
        have a carrier too."""
        by_id = {target.node_id: target for target in targets}
        for links in (self._links, self._carriers):
            for node_id, link in list(links.items()):
                target = by_id.get(node_id)
                if target is None or target.local or target.route != link.target.route:
                    links.pop(node_id).stop()
        for link in self._links.values():
            with guarded(link.fail, node=link.target.name):
                link.refresh()
        for target in by_id.values():
            if not target.local and target.node_id not in self._links:
                self._links[target.node_id] = Link(self._workspace, target, self._remote_socket)
        self._start_some()
        self._carry(carrying)
        here = LinkState(True, self._began, NOTHING)
        return {i: here if target.local else self._links[i].state for i, target in by_id.items()}

    def _start_some(self) -> None:
        room = STARTING_AT_ONCE - sum(link.starting for link in self._links.values())
        waiting = (link for link in self._links.values() if link.due and link.is_answered())
        due = sorted(waiting, key=lambda link: link.retry_at)
        for link in due[: max(0, room)]:
            with guarded(link.fail, node=link.target.name):
                link.start()

    def _carry(self, node_ids: Collection[int]) -> None:
        """Start and stop carriers: each beside a link that is up, so never more than so many at once."""
        moment = time.monotonic()
        self._asked_at |= dict.fromkeys(node_ids, moment)
        for node_id, asked_at in list(self._asked_at.items()):
            if moment - asked_at > IDLE_SECONDS:
                del self._asked_at[node_id]
                if carrier := self._carriers.pop(node_id, None):
                    carrier.stop()
        for node_id in self._asked_at:
            link = self._links.get(node_id)
            if link is not None and link.state.up and node_id not in self._carriers:
                self._carriers[node_id] = Link(self._workspace, link.target, None)
        for carrier in self._carriers.values():
            with guarded(carrier.fail, node=carrier.target.name):
                carrier.refresh()
                if carrier.due:
                    carrier.start()

    def close(self) -> None:
        """End all links and let another keeper have the folder."""
        for link in (*self._links.values(), *self._carriers.values()):
            link.stop()
        self._links.clear()
        self._carriers.clear()
        self._lock.close()


def _is_silence(error: RemoteError) -> bool:
    """Whether a connection ended since nothing answered any more."""
    if isinstance(error, NodeUnreachable):
        return error.code == "timeout" or error.message.kind == "remote.stopped_answering"
    return isinstance(error, DeadlineExceeded)


def renew_link(workspace: Workspace, target: Target, after: float = RENEW_SECONDS) -> None:
    """Have the link made anew, where it is `after` seconds old: what its sshd allows is settled when it is made."""
    control = workspace.control(target)
    try:
        # Made by this host's clock, which may have been set back since: then nobody knows how old it is.
        young = 0 <= time.time() - control.stat().st_mtime < after
    except FileNotFoundError:
        return
    if not young:
        ask = ["ssh", "-F", "/dev/null", "-O", "exit", "-S", str(control), "--", target.host]
        # Where it does not listen, its keeper sees that too.
        with suppress(subprocess.TimeoutExpired):
            subprocess.run(ask, capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=RENEW_SECONDS)


def link_is_up(workspace: Workspace, target: Target) -> bool:
    """Whether the node's link answers here: OpenSSH opens the control socket once it is in and forwards."""
    return target.local or accepts(workspace.control(target))
