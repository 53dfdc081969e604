"""Private servers for tests: a Redis on a socket and a PostgreSQL cluster, each in a folder of its own."""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError


def wait_until(condition: Callable[[], object], seconds: float, what: str, poll: float = 0.05) -> None:
    """Wait for a condition; fail naming it when it has not come true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
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


def postgresql_programs() -> Path | None:
    """Debian's newest PostgreSQL programs, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return found[-1] if found else None


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """A PostgreSQL cluster of its own in the folder, on a socket only; yields SQLAlchemy's URL of an empty database.

    It refuses to run as root, so it then runs as the user that Debian's package made for it.
    """
    programs = postgresql_programs()
    assert programs is not None
    folder.mkdir(parents=True, exist_ok=True)
    as_user: list[str] = []
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres")
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        user = "postgres"
    else:
        user = pwd.getpwuid(os.getuid()).pw_name
    data = folder / "data"
    run = {"check": True, "stdout": subprocess.DEVNULL, "cwd": folder}
    subprocess.run([*as_user, programs / "initdb", "-D", data, "-A", "trust", "-E", "UTF8", "--no-sync"], **run)
    options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
    control = [*as_user, programs / "pg_ctl", "-D", data, "-w", "-l", folder / "log"]
    subprocess.run([*control, "-o", options, "start"], **run)
    try:
        yield f"postgresql+psycopg://{user}@/postgres?host={folder}"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], **run)
