"""Running a command on a node: over its link where there is one; a plain process where the node is this host."""

import math
import os
import shlex
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from ravada_web.messages import Message
from ravada_web.messages.foreign import printable
from ravada_web.remote import failures, ssh
from ravada_web.remote.errors import CommandFailed, RemoteError
from ravada_web.remote.ssh_log import SshLog
from ravada_web.remote.target import Target, Workspace

# The far side stops a command by itself this much after we have given it up, so that none piles up there.
GRACE_SECONDS = 2
IN_ENGLISH = ("env", "LC_ALL=C")


class Process(subprocess.Popen[bytes]):
    """A command that was started here or, by ssh, on a node; used as a context. `log` is what that ssh reports."""

    log: SshLog | None = None

    @property
    def reported(self) -> bytes:
        """What ssh itself has reported until now; nothing of a command of this host."""
        return self.log.tail() if self.log else b""

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)  # type: ignore[arg-type]
        if self.log:
            self.log.close()


def run(
    workspace: Workspace,
    target: Target,
    argv: Sequence[str],
    *,
    deadline: float,
    stdin: bytes | None = None,
    fresh: bool = False,
    step: Message | str = "",
) -> bytes:
    """Run a command on the node, as root where it can be; returns its standard output.

    `deadline` is in seconds. `argv` is a list of words, quoted for the far shell here; a script is ["sh", "-c", SCRIPT,
    "sh", argument…]. `fresh` makes a connection of its own: to ask a node again whose link does not answer. `step` says
    in errors what was being done, by default the program's name. Raises CommandFailed, DeadlineExceeded, and what
    `ssh.classify` makes of a connection that failed.
    """
    step = step or argv[0]
    pipe = subprocess.DEVNULL if stdin is None else subprocess.PIPE
    process = popen(workspace, target, argv, stdin=pipe, bulk=fresh, deadline=deadline)
    with process:
        try:
            stdout, stderr = process.communicate(stdin, timeout=deadline)
        except subprocess.TimeoutExpired as error:
            raise failures.late(target, step, deadline, process.reported, error.stderr or b"") from error
        finally:
            kill(process)
        if process.returncode:
            raise failure(target, step, process, stderr)
    return stdout


def popen(
    workspace: Workspace,
    target: Target,
    argv: Sequence[str],
    *,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    bulk: bool = False,
    deadline: float | None = None,
) -> Process:
    """Start a command on the node, with pipes for its output, in a process group of its own.

    `bulk` gives it a connection of its own, so that a copy never delays the consoles on the link. With a
    `deadline` (seconds) the far side ends it by itself soon after, whatever becomes of us.
    """
    control = None if bulk else workspace.control(target)
    log = None if target.local else SshLog()
    if log is None:
        command = [*IN_ENGLISH, *argv]
    else:
        command = [*ssh.command(workspace, target, log=log, control=control), far_line(target, argv, deadline)]
    process = Process(
        command,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path("/"),
        process_group=0,
    )
    process.log = log
    return process


def far_line(target: Target, argv: Sequence[str], deadline: float | None) -> str:
    """The one line that the far user's shell reads: every word quoted, in the C locale, as root where it may be."""
    as_root = [] if target.user == "root" or not target.root else ["sudo", "-n"]
    bound = [] if deadline is None else ["timeout", "-k", "5", str(math.ceil(deadline) + GRACE_SECONDS)]
    return shlex.join([*as_root, *IN_ENGLISH, *bound, *argv])


def kill(process: "subprocess.Popen[bytes]") -> None:
    """End a process started here and all of its group; nothing happens to one that has ended."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def failure(target: Target, step: Message | str, process: Process, stderr: bytes) -> RemoteError:
    """The error for a command that has ended with another status than 0."""
    if process.returncode == ssh.SSH_FAILED and not target.local:
        if lost := failures.classify(target, process.reported, stderr):
            return lost
        if not stderr and not failures.logged_in(process.reported):
            return failures.closed(target)  # the link went in the middle of it
    return CommandFailed(target.name, step, process.returncode, printable(stderr))
