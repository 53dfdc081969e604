"""Running a command on a node: over its link where there is one. Where the node is this very host, the helper runs it,
which is root, or it is a plain process where there is no helper."""

import math
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

from ravada_web.messages import Message, message
from ravada_web.messages.foreign import printable
from ravada_web.remote import failures, helper, ssh
from ravada_web.remote.errors import CommandFailed, RemoteError, UnreadableAnswer
from ravada_web.remote.helper import REFUSED, HelperProcess
from ravada_web.remote.login_shells import after_mark, line_for
from ravada_web.remote.pipes import Kept, Output, TooMuch, talk
from ravada_web.remote.ssh_log import SshLog
from ravada_web.remote.target import Target, Workspace
from ravada_web.remote.verbs import Call

# The far side stops a command by itself this much after we have given it up, so that none piles up there.
GRACE_SECONDS = 2
IN_ENGLISH = ("env", "LC_ALL=C")
# What no answer is longer than, in bytes, unless its reader says otherwise.
MOST_OUTPUT = 1 << 20


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


Running = Process | HelperProcess


def run(
    workspace: Workspace,
    target: Target,
    argv: Sequence[str],
    *,
    deadline: float,
    stdin: bytes | None = None,
    fresh: bool = False,
    step: Message | str = "",
    most: int = MOST_OUTPUT,
    on_output: Callable[[bytes], object] | None = None,
) -> bytes:
    """Run a command on the node, as root where it can be; returns its standard output, of `most` bytes at most.

    `deadline` is in seconds, for all of it. `argv` is a list of words, quoted for the far shell here; a script is
    ["sh", "-c", SCRIPT, "sh", argument…]. `fresh` makes a connection of its own: to ask a node again whose link does
    not answer. `step` says in errors what was being done, by default the program's name. With `on_output` the output
    is given to that as it comes, however much it is, and none is returned; what it raises ends the command here.

    Raises CommandFailed, DeadlineExceeded, UnreadableAnswer for too much output, and what `ssh.classify` makes of a
    connection that failed.
    """
    step = step or argv[0]
    pipe = subprocess.DEVNULL if stdin is None else subprocess.PIPE
    process = popen(workspace, target, argv, stdin=pipe, fresh=fresh, deadline=deadline)
    kept = Kept(most)
    output = Output(on_output or kept.add, marked=not target.local)
    with process:
        try:
            stderr = talk(process, stdin, output.add, deadline)
        except subprocess.TimeoutExpired as error:
            said = _words(target, error.stderr or b"", output.greeting)
            raise failures.late(target, step, deadline, process.reported, said) from error
        except TooMuch as error:
            raise UnreadableAnswer(
                message("remote.too_much_output", step=step, name=target.name, most_bytes=most)
            ) from error
        finally:
            kill(process)
        if process.returncode or not output.begun:
            raise failure(target, step, process, stderr, output.greeting)
    return kept.whole


def popen(
    workspace: Workspace,
    target: Target,
    argv: Sequence[str],
    *,
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int = subprocess.PIPE,
    fresh: bool = False,
    carried: bool = False,
    deadline: float | None = None,
) -> Running:
    """Start a command on the node, with pipes for its output, in a process group of its own.

    A helper of this host runs those that it knows, and what needs no right runs without it.

    Over SSH its output begins after login_shells.MARK. A copy keeps away from the link, so that it never delays the
    consoles there: `fresh` gives it a connection of its own, `carried` the node's carrier where there is one, which
    lasts as long as the move that this is part of. With a `deadline` (seconds) the far side ends it by itself soon
    after, whatever becomes of us.
    """
    asked = workspace.helper_socket if target.local and target.root else None
    if asked:
        if not isinstance(argv, Call):
            raise CommandFailed(target.name, argv[0], REFUSED, message("remote.helper_unknown"))
        return helper.start(asked, target, argv, stdin, stdout, deadline)
    shared = workspace.carrier(target) if carried else workspace.control(target)
    log = None if target.local else SshLog()
    if log is None:
        command = [*IN_ENGLISH, *argv]
    else:
        line = line_for(far_words(target, argv, deadline))
        command = [*ssh.command(workspace, target, log=log, control=None if fresh else shared), line]
    process = Process(
        command,
        stdin=stdin,
        stdout=stdout,
        stderr=subprocess.PIPE,
        cwd=Path("/"),
        process_group=0,
    )
    process.log = log
    return process


def far_words(target: Target, argv: Sequence[str], deadline: float | None) -> list[str]:
    """The command as it is run there: in the C locale, as root where it may be, ended soon after its deadline."""
    as_root = [] if target.user == "root" or not target.root else ["sudo", "-n"]
    bound = [] if deadline is None else ["timeout", "-k", "5", str(math.ceil(deadline) + GRACE_SECONDS)]
    return [*as_root, *IN_ENGLISH, *bound, *argv]


def kill(process: "subprocess.Popen[bytes] | HelperProcess") -> None:
    """End a process started here and all of its group; nothing happens to one that has ended."""
    if process.poll() is None:
        if isinstance(process, HelperProcess):
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def failure(target: Target, step: Message | str, process: Running, stderr: bytes, greeting: bytes = b"") -> RemoteError:
    """The error for a process that has ended with another status than 0, or whose login shell has not run the command.

    `greeting` is what was on its standard output before the command's own.
    """
    if process.returncode == ssh.SSH_FAILED and not target.local:
        said = _words(target, stderr, greeting)
        if lost := failures.classify(target, process.reported, said):
            return lost
        if not said and not failures.logged_in(process.reported):
            return failures.closed(target)  # the link went in the middle of it
    return ended(target, step, process.returncode, stderr, greeting)


def ended(target: Target, step: Message | str, status: int, stderr: bytes, greeting: bytes = b"") -> RemoteError:
    """The same for a command over a connection that did not fail."""
    said = printable(_words(target, stderr, greeting))
    if target.local or after_mark(stderr) is not None:
        return CommandFailed(target.name, step, status, said)
    words = said or message("remote.said_nothing")
    return UnreadableAnswer(message("remote.not_run", step=step, name=target.name, user=target.user, said=words))


def _words(target: Target, stderr: bytes, greeting: bytes) -> bytes:
    """What the command said; what its login shell said before it is left out, unless that is all there is."""
    own = stderr if target.local else after_mark(stderr)
    return b"\n".join(filter(None, (greeting, stderr))) if own is None else own
