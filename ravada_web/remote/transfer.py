"""Copying one file from a node to another, through us: neither node needs to trust the other."""

import fcntl
import os
import select
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

from ravada_web.remote.commands import failure, kill, popen
from ravada_web.remote.errors import CopyFailed
from ravada_web.remote.target import Target, Workspace, checked_path

BLOCK = 1024 * 1024
REPORT_SECONDS = 0.5
WRITE = 'umask 077; exec cat > "$1"'

Process = subprocess.Popen[bytes]


def copy_file(
    workspace: Workspace,
    source: Target,
    source_path: str,
    dest: Target,
    dest_path: str,
    *,
    size: int,
    on_progress: Callable[[int], None],
    stall: float = 30.0,
) -> None:
    """Copy a file of `size` bytes to `dest_path`, which is overwritten: give it a temporary name.

    `on_progress` gets the bytes copied so far, about twice a second and at the end; what it raises ends it.
    Raises CopyFailed when nothing moves for `stall` seconds or the length is another, and the errors of `run`
    when one of the two ends fails. What was written is left to the caller to remove.
    """
    read = ["cat", "--", checked_path(source_path)]
    write = ["sh", "-c", WRITE, "sh", checked_path(dest_path)]
    with ExitStack() as ends:
        reader = ends.enter_context(popen(workspace, source, read, bulk=True))
        ends.callback(kill, reader)
        writer = ends.enter_context(popen(workspace, dest, write, stdin=subprocess.PIPE, bulk=True))
        ends.callback(kill, writer)
        what = f"The copy of {source_path} from {source.name} to {dest.name}"
        copied = _pump(reader, writer, on_progress, stall, what)
        _end(writer, dest, "writing the copy", stall, what)
        _end(reader, source, "reading the original", stall, what)
    if copied != size:
        raise CopyFailed(
            f"{what} ended after {copied} bytes, {size} were expected: the original is not as it was when it "
            "was prepared. Compare it with its hash; prepare the base anew if it was changed."
        )
    on_progress(copied)


def _pump(reader: Process, writer: Process, on_progress: Callable[[int], None], stall: float, what: str) -> int:
    """Move all bytes; return how many. Ends early, without an error of its own, when the writer ends."""
    assert reader.stdout and writer.stdin
    source, dest = reader.stdout.fileno(), writer.stdin.fileno()
    for pipe in (source, dest):
        os.set_blocking(pipe, False)
        _widen(pipe)
    copied, reported = 0, time.monotonic()
    while block := _read(source, stall, what):
        try:
            _write(dest, block, stall, what)
        except BrokenPipeError:
            kill(reader)
            break
        copied += len(block)
        if time.monotonic() - reported >= REPORT_SECONDS:
            on_progress(copied)
            reported = time.monotonic()
    writer.stdin.close()
    return copied


def _widen(pipe: int) -> None:
    """Let the pipe hold a whole block; without the right to, it works with less."""
    with suppress(PermissionError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, BLOCK)


def _read(pipe: int, stall: float, what: str) -> bytes:
    _wait(pipe, select.POLLIN, stall, what)
    return os.read(pipe, BLOCK)


def _write(pipe: int, block: bytes, stall: float, what: str) -> None:
    rest = memoryview(block)
    while rest:
        _wait(pipe, select.POLLOUT, stall, what)
        rest = rest[os.write(pipe, rest) :]


def _wait(pipe: int, event: int, stall: float, what: str) -> None:
    poll = select.poll()
    poll.register(pipe, event)
    if not poll.poll(stall * 1000):
        raise CopyFailed(
            f"{what} stood still for {stall:g} s and was given up. Check both nodes and the network; retry."
        )


def _end(process: Process, target: Target, label: str, stall: float, what: str) -> None:
    """Wait for an end of the copy to finish; raise its error if it failed by itself."""
    try:
        process.wait(stall)
    except subprocess.TimeoutExpired as error:
        raise CopyFailed(f"{what}: {target.name} did not finish within {stall:g} s of the last byte. Retry.") from error
    assert process.stderr
    if process.returncode:
        raise failure(target, label, process.returncode, process.stderr.read())
