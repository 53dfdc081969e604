"""Asking the helper, the one process of ours that is root on this very host: for a command, or for a display.

A request is a line of JSON, with the command's standard input, output and error beside it; the answer is a line as
well, when it has ended. Whoever closes the connection ends the command.
"""

import json
import os
import select
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from ravada_web.messages import message
from ravada_web.messages.foreign import json_object, printable, whole
from ravada_web.remote.errors import NodeUnreachable
from ravada_web.remote.target import Target
from ravada_web.remote.verbs import DISPLAY, Call

# A display is there, or is not: what takes longer is a helper that stands still.
DISPLAY_SECONDS = 8.0
LONGEST_ANSWER = 4096
# A shell's status for what it may not run.
REFUSED = 126


class HelperProcess:
    """A command that the helper runs, used as a subprocess.Popen is."""

    reported = b""

    def __init__(self, call: Call, plug: socket.socket, pipes: "dict[str, IO[bytes] | None]") -> None:
        self.args = call
        self.returncode: int | Any = None
        self.stdin, self.stdout, self.stderr = pipes["stdin"], pipes["stdout"], pipes["stderr"]
        self._plug, self._said = plug, b""

    def __enter__(self) -> "HelperProcess":
        return self

    def __exit__(self, *_error: object) -> None:
        for pipe in (self.stdin, self.stdout, self.stderr):
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()
        self.wait()
        self._plug.close()

    def poll(self) -> int | None:
        """Its status, if it has ended."""
        return self._listen(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; returns its status. Raises subprocess.TimeoutExpired."""
        status = self._listen(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def kill(self) -> None:
        """Have all of it ended."""
        with suppress(OSError):
            self._plug.shutdown(socket.SHUT_WR)

    def _listen(self, timeout: float | None) -> int | None:
        poll = select.poll()
        poll.register(self._plug, select.POLLIN)
        while self.returncode is None and poll.poll(None if timeout is None else max(0.0, timeout) * 1000):
            said = _received(self._plug)
            self._said += said
            if self._said.endswith(b"\n"):
                self.returncode = _status(json_object(self._said).get("status"))
            elif not said or len(self._said) > LONGEST_ANSWER:
                self.returncode = -signal.SIGKILL  # with the helper, its commands are gone
        return self.returncode


def _received(plug: socket.socket) -> bytes:
    try:
        return plug.recv(LONGEST_ANSWER)
    except ConnectionError:
        return b""


def _status(said: object) -> int:
    """A status; those of signals are negative."""
    text = str(said)
    return -whole(text[1:], 255) if text.startswith("-") else whole(text, 255)


def start(
    helper: Path, target: Target, call: Call, stdin: int | IO[bytes], stdout: int, deadline: float | None
) -> HelperProcess:
    """Have the helper at that socket run the command, with these as Popen takes them. Raises NodeUnreachable where it
    is away."""
    plug = _connected(helper, target)
    pipes: dict[str, IO[bytes] | None] = {"stdin": None, "stdout": None, "stderr": None}
    theirs: list[int] = []
    own: list[int] = []
    try:
        for name, given in (("stdin", stdin), ("stdout", stdout), ("stderr", subprocess.PIPE)):
            if given == subprocess.PIPE:
                ends = os.pipe()
                near, far = (ends[1], ends[0]) if name == "stdin" else ends
                pipes[name] = os.fdopen(near, "wb" if name == "stdin" else "rb", buffering=0 if name == "stdin" else -1)
                own.append(far)
                theirs.append(far)
            elif given == subprocess.DEVNULL:
                own.append(os.open(os.devnull, os.O_RDWR))
                theirs.append(own[-1])
            else:
                theirs.append(given if isinstance(given, int) else given.fileno())
        _ask(plug, call, deadline, theirs)
    except OSError as error:
        plug.close()
        for pipe in filter(None, pipes.values()):
            pipe.close()
        raise _away(target, error) from error
    finally:
        for descriptor in own:
            os.close(descriptor)
    return HelperProcess(call, plug, pipes)


def open_display(helper: Path, target: Target, path: str) -> socket.socket:
    """A connection to a display of this host. Raises NodeUnreachable where the helper is away, and OSError with what it
    says where the display is."""
    with _connected(helper, target) as plug:
        try:
            plug.settimeout(DISPLAY_SECONDS)
            _ask(plug, DISPLAY(path), None, [])
            said, descriptors, _flags, _address = socket.recv_fds(plug, LONGEST_ANSWER, 1)
        except OSError as error:
            raise _away(target, error) from error
    if not descriptors:
        raise OSError(printable(said))
    return socket.socket(fileno=descriptors[0])


def _ask(plug: socket.socket, call: Call, deadline: float | None, descriptors: list[int]) -> None:
    request = {"verb": call.verb.name, "arguments": call.arguments, "seconds": deadline}
    raw = json.dumps(request).encode() + b"\n"
    with suppress(BrokenPipeError):  # it has heard enough to refuse it, and says why
        while raw:
            raw = raw[socket.send_fds(plug, [raw], descriptors) :]
            descriptors = []


def _connected(helper: Path, target: Target) -> socket.socket:
    plug = socket.socket(socket.AF_UNIX)
    try:
        plug.connect(str(helper))
    except OSError as error:
        plug.close()
        raise _away(target, error) from error
    return plug


def _away(target: Target, error: OSError) -> NodeUnreachable:
    return NodeUnreachable("lost", message("remote.helper_away", name=target.name, said=printable(str(error))))
