"""As whom the processes of `flask up` run: started as root, each as a system user; else as who started it."""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
from sqlalchemy import make_url

from jobs.handing_over import hand_over
from ravada_web import ROOT, closed_homes, system_users
from ravada_web.config import Settings
from ravada_web.errors import CannotRun
from ravada_web.process import die_with, forgo_privileges
from ravada_web.system_users import SystemUser, SystemUsers

Run = Callable[[], None]
READ = os.R_OK | os.X_OK


@dataclass(frozen=True)
class Accounts:
    """The users, None where all is one's; `host` is the view of the system from before closed homes were hidden."""

    users: SystemUsers | None
    host: int | None
    local_master: bool

    def web(self, run: Run) -> Run:
        """`run`, as the user of the gateway and the pages."""
        return partial(_run_as, self.users.web, run) if self.users else run

    def work(self, run: Run) -> Run:
        """`run`, as the user of the links, the ticker and the workers."""
        return partial(_run_as, self.users.work, run) if self.users else run

    @property
    def helped(self) -> SystemUser | None:
        """Whom root helps where this host is a node itself; None where it is not, or everything is one's."""
        return self.users.work if self.users and self.local_master else None

    def root(self, run: Run) -> Run:
        """`run`, as root, with the system in view as it is."""
        return partial(_run_on_host, self.host, run)

    def redis(self, run: Run) -> Run:
        """`run`, as the user of the private Redis."""
        return partial(_run_as, self.users.redis, run) if self.users else run

    def step_down_to_web(self) -> None:
        """Be the user of the gateway and the pages from now on."""
        if self.users:
            _step_down(self.users.web)

    def acting(self) -> AbstractContextManager[None]:
        """Read and write as the user of the workers does: root opens nothing where others may plant something."""
        return self.users.work.acting() if self.users else nullcontext()


def prepare(settings: Settings) -> Accounts:
    """Make the system users where they are missing, hand the data folder over to them, and hide closed homes.

    Where we are not root, everything stays as it is. Raises CannotRun.
    """
    if os.geteuid() != 0:
        return Accounts(None, None, local_master=False)
    users = system_users.ensure(click.echo)
    hand_over(settings, users)
    needed = closed_homes.needs(settings, ROOT)
    host = closed_homes.hide(needed)
    os.chdir(ROOT)
    with users.web.acting():
        _require_access(users.web, settings, needed)
    return Accounts(users, host, settings.master == "local")


def _require_access(user: SystemUser, settings: Settings, needed: Sequence[Path]) -> None:
    """Raise CannotRun for what the present user, who is that one, cannot use. The certificate is opened by root."""
    socket, certificate = settings.foreign_redis_socket, {settings.tls_cert, settings.tls_key}
    for path in needed:
        folders = certificate | {each.parent for each in certificate if each}
        if path not in folders and path != socket and not os.access(path, READ, effective_ids=True):
            raise CannotRun(f"The user {user.name} cannot read {path}. To let others: chmod -R o+rX {path}")
    database = make_url(settings.database_url)
    if database.drivername.startswith("sqlite") and database.database and not settings.has_own_database:
        file = Path(database.database)
        for path in (file.parent, *([file] if file.exists() else [])):
            if not os.access(path, os.W_OK, effective_ids=True):
                raise CannotRun(
                    f"The user {user.name} cannot write {path}, where RAVADA_DATABASE_URL has the database. "
                    f"To let it: chgrp {system_users.GROUP} {path}; chmod g+rwX {path}"
                )
    if socket and socket.exists() and not os.access(socket, os.W_OK, effective_ids=True):
        raise CannotRun(
            f"The user {user.name} may not use the socket {socket}. To let it, and the workers: "
            f"usermod -aG {socket.group()} ravada-web; usermod -aG {socket.group()} ravada-work"
        )


def _run_as(user: SystemUser, run: Run) -> None:
    _step_down(user)
    run()


def _run_on_host(host: int | None, run: Run) -> None:
    closed_homes.leave(host)
    forgo_privileges()
    run()


def _step_down(user: SystemUser) -> None:
    parent = os.getppid()
    user.become()
    die_with(parent)
