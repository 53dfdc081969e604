"""The loop of the processes that are not workers."""

import signal
import threading
from collections.abc import Iterator
from types import FrameType

from ravada_web import beats


def until_stopped(seconds: float) -> Iterator[None]:
    """Yield every so many seconds, each time with a beat, until SIGTERM or SIGINT comes; only for a process's main
    thread."""
    stopped = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopped.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    beats.beat()
    while not stopped.wait(seconds):
        yield
        beats.beat()
