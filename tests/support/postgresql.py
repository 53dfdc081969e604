"""A private PostgreSQL server for tests, in a folder of its own, on a socket only."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg


def programs() -> Path | None:
    """Returns the folder of Debian's newest PostgreSQL programs, or None."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return found[-1] if found else None


@dataclass(frozen=True)
class Postgresql:
    """A server by its folder: whoever knows the folder can use it, make databases in it and stop it.

    PostgreSQL refuses to run as root; started by root, it runs as the user that Debian's package made for it, who must
    be able to reach the folder.
    """

    folder: Path

    @property
    def user(self) -> str:
        """The server's system user, who is its superuser too."""
        return "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.getuid()).pw_name

    def url(self, database: str = "postgres") -> str:
        """Returns SQLAlchemy's URL of a database."""
        return f"postgresql+psycopg://{self.user}@/{database}?host={self.folder}"

    def start(self) -> None:
        """Make the server's files and start it. Returns when it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            shutil.chown(self.folder, self.user)
        self._run("initdb", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder} -c fsync=off"
        self._run("pg_ctl", "-w", "-l", self.folder / "log", "-o", options, "start")

    def stop(self) -> None:
        """Stop it at once."""
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def copy(self, database: str, template: str) -> None:
        """Make a database with all that the template holds."""
        self._say(f"CREATE DATABASE {database} TEMPLATE {template}")

    def create(self, database: str) -> None:
        """Make an empty database."""
        self._say(f"CREATE DATABASE {database}")

    def drop(self, database: str) -> None:
        """Remove a database. Raises psycopg.errors.ObjectInUse while a connection to it is open."""
        self._say(f"DROP DATABASE {database}")

    def _say(self, statement: str) -> None:
        with psycopg.connect(host=str(self.folder), user=self.user, dbname="postgres", autocommit=True) as connection:
            connection.execute(statement.encode())

    def _run(self, program: str, *arguments: Any) -> None:
        folder = programs()
        assert folder is not None, "PostgreSQL is not installed"
        drop = ["setpriv", "--reuid", self.user, "--regid", self.user, "--init-groups"] if os.geteuid() == 0 else []
        command = [*drop, folder / program, "-D", self.folder / "data", *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder)


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """A server in the folder for the block's time; yields SQLAlchemy's URL of an empty database."""
    server = Postgresql(folder)
    server.start()
    try:
        yield server.url()
    finally:
        server.stop()
