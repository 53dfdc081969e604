"""Running a program of this very host for its status and what it says, in a time of ours."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ravada_web.remote.commands import kill
from ravada_web.remote.pipes import Kept, talk

LIMIT, GRACE_SECONDS = "/usr/bin/timeout", 5.0


def ended(
    words: Sequence[str | Path], entered: bytes, seconds: float, most: int, environment: Mapping[str, str]
) -> tuple[int, bytes, bytes]:
    """Run it; returns its status, its output of `most` bytes at most, and the end of its standard error.

    Should this process be killed, it is ended all the same. Raises OSError where it cannot be started,
    subprocess.TimeoutExpired and pipes.TooMuch.
    """
    kept, pipe = Kept(most), subprocess.PIPE
    limited = [LIMIT, "--kill-after=5", f"{seconds + GRACE_SECONDS}", *words]
    process = subprocess.Popen(limited, stdin=pipe, stdout=pipe, stderr=pipe, cwd="/", env=environment, process_group=0)
    with process:
        try:
            errors = talk(process, entered, kept.add, seconds)
        finally:
            kill(process)
    return process.returncode, kept.whole, errors
