"""A private Redis for tests, on a socket; and waiting for what comes true in time."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

# A limit says when a test gives up, not how soon a thing is promised: on a machine that stands still for a minute,
# or writes slowly, it may take so many times as long. Tests marked `clock` are held to what they say.
PATIENT = 5.0
patience = PATIENT


def wait_until(condition: Callable[[], object], seconds: float, what: str, poll: float = 0.05) -> None:
    """Wait for a condition; fail naming it when it has not come true in time."""
    seconds *= patience
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(poll)


@contextmanager
def redis_server(socket: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A Redis of its own on that socket; ends with the block."""
    command = [
        "redis-server",
        "--port",
        "0",
        "--unixsocket",
        str(socket),
        "--save",
        "",
        "--dir",
        str(socket.parent),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(socket), 10, "Redis answers")
        yield process
    finally:
        process.terminate()
        process.wait(10)


def answers(socket: Path) -> bool:
    """Whether a Redis answers on the socket."""
    try:
        with Redis(unix_socket_path=str(socket)) as connection:
            return bool(connection.ping())
    except (RedisConnectionError, FileNotFoundError):
        return False
