"""Copying one file from a node to another, through us: neither node needs to trust the other."""

import fcntl
import os
import select
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from ravada_web.messages import Message, message
from ravada_web.remote.commands import Running, failure, kill, popen
from ravada_web.remote.errors import CopyFailed
from ravada_web.remote.login_shells import after_mark
from ravada_web.remote.pipes import TAIL_BYTES, Output, TooMuch
from ravada_web.remote.target import Target, Workspace
from ravada_web.remote.verbs import FILE, Verb, known, script

BLOCK = 1024 * 1024
REPORT_SECONDS = 0.5
# A copy that brings less than this (bytes a second) over the time of a stall stands still, however often a byte comes.
LEAST_RATE = 16384
WRITE = script("write", 'umask 077; exec cat > "$1"', FILE)
READ = known(Verb("read", ("cat", "--", FILE)))


@dataclass(frozen=True)
class _Copy:
    """Which copy it is, for errors: the file, the nodes' names, and after how many seconds it is given up."""

    path: str
    source: str
    dest: str
    size: int
    stall: float

    def stalled(self) -> CopyFailed:
        names = {"path": self.path, "source": self.source, "dest": self.dest}
        return CopyFailed(message("remote.copy_stalled", **names, stall_seconds=self.stall))

    def unfinished(self, name: str) -> CopyFailed:
        names = {"path": self.path, "source": self.source, "dest": self.dest, "name": name}
        return CopyFailed(message("remote.copy_unfinished", **names, stall_seconds=self.stall))

    def of_other_length(self, copied: int) -> CopyFailed:
        names = {"path": self.path, "source": self.source, "dest": self.dest}
        return CopyFailed(message("remote.copy_length", **names, copied_bytes=copied, expected_bytes=self.size))


class _Pace:
    """Whether a copy comes forward: not by a byte now and then, which would hold its worker for days."""

    def __init__(self, copy: _Copy) -> None:
        self._copy, self._since, self._copied = copy, time.monotonic(), 0

    def keep(self, copied: int) -> None:
        """Raise CopyFailed where too little came in the time of a stall."""
        took = time.monotonic() - self._since
        if took < self._copy.stall:
            return
        if copied - self._copied < LEAST_RATE * took:
            raise self._copy.stalled()
        self._since, self._copied = time.monotonic(), copied


class _Throttle:
    """Keeps a copy to so many bytes a second, which may change meanwhile."""

    def __init__(self, most: Callable[[], int]) -> None:
        self._most, self._due = most, time.monotonic()

    def left(self, sent: int) -> float:
        """In how many seconds the next may be sent, after so many bytes were."""
        most, moment = self._most(), time.monotonic()
        self._due = max(self._due, moment) + sent / most if most else moment
        return self._due - moment


def _no_limit() -> int:
    return 0


def copy_file(
    workspace: Workspace,
    source: Target,
    source_path: str,
    dest: Target,
    dest_path: str,
    *,
    size: int,
    on_progress: Callable[[int], None],
    on_block: Callable[[bytes], object] = lambda _block: None,
    stall: float = 30.0,
    most: Callable[[], int] = _no_limit,
    carried: bool = False,
) -> None:
    """Copy a file of `size` bytes to `dest_path`, which is overwritten: give it a temporary name.

    `on_progress` gets the bytes copied so far, about twice a second and at the end; what it raises ends it. `on_block`
    gets all that is copied. `most` is how many bytes a second it may take now; 0 is no limit. `carried`
    is for what is part of a move: it goes over the nodes' carriers, which last no longer.
    Raises CopyFailed when nothing moves for `stall` seconds or the length is another, and the errors of `run`
    when one of the two ends fails. What was written is left to the caller to remove.
    """
    read, write = READ(source_path), WRITE(dest_path)
    with ExitStack() as ends:
        reader = popen(workspace, source, read, fresh=not carried, carried=carried)
        ends.push(reader)
        ends.callback(kill, reader)
        to_it = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL}
        writer = popen(workspace, dest, write, **to_it, fresh=not carried, carried=carried)
        ends.push(writer)
        ends.callback(kill, writer)
        copy = _Copy(source_path, source.name, dest.name, size, stall)
        report, throttle = _Report(on_progress, on_block), _Throttle(most)
        copied = _pump(reader, writer, report, copy, throttle, marked=not source.local)
        _end(writer, dest, message("remote.step_write_copy"), copy)
        _end(reader, source, message("remote.step_read_original"), copy)
    if copied != size:
        raise copy.of_other_length(copied)
    on_progress(copied)


class _Report:
    """Passes on what is copied and, from time to time, how far that is."""

    def __init__(self, on_progress: Callable[[int], None], on_block: Callable[[bytes], object]) -> None:
        self.pass_on = on_block
        self._on_progress, self._told_at = on_progress, time.monotonic()

    def tell(self, copied: int) -> None:
        """Tell it, if it is time to."""
        if time.monotonic() - self._told_at >= REPORT_SECONDS:
            self._on_progress(copied)
            self._told_at = time.monotonic()


def _pump(reader: Running, writer: Running, report: _Report, copy: _Copy, throttle: _Throttle, *, marked: bool) -> int:
    """Move all bytes; return how many. Ends early, without an error of its own, when the writer ends. Raises CopyFailed
    where more comes than there is to be."""
    assert reader.stdout and writer.stdin
    source, dest = reader.stdout.fileno(), writer.stdin.fileno()
    for pipe in (source, dest):
        os.set_blocking(pipe, False)
        _widen(pipe)
    copied = 0

    def write(block: bytes) -> None:
        nonlocal copied
        if copied + len(block) > copy.size:
            raise copy.of_other_length(copied + len(block))
        _write(dest, block, copy)
        report.pass_on(block)
        copied += len(block)

    output, pace = Output(write, marked=marked), _Pace(copy)
    while block := _read(source, copy):
        try:
            output.add(block)
        except (BrokenPipeError, TooMuch):
            kill(reader)
            break
        pace.keep(copied)
        report.tell(copied)
        _wait_for(throttle.left(len(block)), report, copied)
    writer.stdin.close()
    return copied


def _wait_for(seconds: float, report: _Report, copied: int) -> None:
    """Let so much time pass, and tell meanwhile how far it is: a copy that waits can be cancelled."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, REPORT_SECONDS))
        report.tell(copied)


def _widen(pipe: int) -> None:
    """Let the pipe hold a whole block; without the right to, it works with less."""
    with suppress(PermissionError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, BLOCK)


def _read(pipe: int, copy: _Copy) -> bytes:
    _wait(pipe, select.POLLIN, copy)
    return os.read(pipe, BLOCK)


def _write(pipe: int, block: bytes, copy: _Copy) -> None:
    rest = memoryview(block)
    while rest:
        _wait(pipe, select.POLLOUT, copy)
        rest = rest[os.write(pipe, rest) :]


def _wait(pipe: int, event: int, copy: _Copy) -> None:
    poll = select.poll()
    poll.register(pipe, event)
    if not poll.poll(copy.stall * 1000):
        raise copy.stalled()


def _end(process: Running, target: Target, step: Message, copy: _Copy) -> None:
    """Wait for an end of the copy to finish; raise its error if it failed by itself."""
    try:
        process.wait(copy.stall)
    except subprocess.TimeoutExpired as error:
        raise copy.unfinished(target.name) from error
    assert process.stderr
    said = process.stderr.read(TAIL_BYTES)
    if process.returncode or not (target.local or after_mark(said) is not None):
        raise failure(target, step, process, said)
