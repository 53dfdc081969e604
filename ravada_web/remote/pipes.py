"""Talking to a process of ours through its pipes: within a time as a whole, and bounded in what is kept of it."""

import os
import selectors
import subprocess
import time
from collections.abc import Callable
from typing import IO

from ravada_web.remote.helper import HelperProcess
from ravada_web.remote.login_shells import LONGEST_GREETING, after_mark

BLOCK = 65536
# Of what a command says on its standard error, its end is what matters.
TAIL_BYTES = 65536


class TooMuch(Exception):
    """The process wrote more than it may."""


class Output:
    """A command's output as it comes: what was before the mark is dropped, what is after it handed on.

    `marked` says whether there is to be a mark; a command on this very host begins without one. `begun` tells whether
    it was there, `greeting` what was said instead until now.
    """

    def __init__(self, take: Callable[[bytes], object], marked: bool) -> None:
        self._take, self.begun, self.greeting = take, not marked, b""

    def add(self, block: bytes) -> None:
        """Take what came. Raises TooMuch for a greeting without end."""
        if self.begun:
            self._take(block)
            return
        self.greeting += block
        rest = after_mark(self.greeting)
        if rest is not None:
            self.begun, self.greeting = True, b""
            if rest:
                self._take(rest)
        elif len(self.greeting) > LONGEST_GREETING:
            raise TooMuch


class Kept:
    """Keeps what it is given. Raises TooMuch beyond `most` bytes."""

    def __init__(self, most: int) -> None:
        self._parts: list[bytes] = []
        self._left = most

    def add(self, block: bytes) -> None:
        """Keep one more block."""
        self._left -= len(block)
        if self._left < 0:
            raise TooMuch
        self._parts.append(block)

    @property
    def whole(self) -> bytes:
        """All of it."""
        return b"".join(self._parts)


def talk(
    process: "subprocess.Popen[bytes] | HelperProcess",
    stdin: bytes | None,
    output: Callable[[bytes], object],
    deadline: float,
) -> bytes:
    """Give the process its input and take its output, until it ends; returns the end of its standard error.

    `deadline` in seconds, for all of it. Raises subprocess.TimeoutExpired, and what `output` raises.
    """
    end = time.monotonic() + deadline
    assert process.stdout and process.stderr
    said = b""
    with selectors.DefaultSelector() as pipes:
        pipes.register(process.stdout, selectors.EVENT_READ)
        pipes.register(process.stderr, selectors.EVENT_READ)
        left = memoryview(stdin or b"")
        if process.stdin:
            os.set_blocking(process.stdin.fileno(), False)
            pipes.register(process.stdin, selectors.EVENT_WRITE)
        while pipes.get_map():
            for key, _events in pipes.select(max(0.0, end - time.monotonic())):
                if key.fileobj is process.stdin:
                    left = _give(process.stdin, left)
                    if not left:
                        _done(pipes, process.stdin)
                elif not (block := os.read(key.fd, BLOCK)):
                    _done(pipes, key.fileobj)
                elif key.fileobj is process.stdout:
                    output(block)
                else:
                    said = (said + block)[-TAIL_BYTES:]
            if time.monotonic() >= end:
                raise subprocess.TimeoutExpired(process.args, deadline, stderr=said)
    process.wait(max(0.0, end - time.monotonic()))
    return said


def _give(pipe: IO[bytes], left: memoryview) -> memoryview:
    """Write what the pipe takes; a process that takes no more has had enough."""
    try:
        return left[os.write(pipe.fileno(), left[:BLOCK]) :] if left else left
    except BlockingIOError:
        return left
    except BrokenPipeError:
        return left[:0]


def _done(pipes: selectors.BaseSelector, pipe: object) -> None:
    pipes.unregister(pipe)  # type: ignore[arg-type]
    pipe.close()  # type: ignore[attr-defined]
