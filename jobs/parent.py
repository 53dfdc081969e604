"""The parent of all processes of one host, as `flask up` runs it.

It loads the product once and forks: what is loaded is there once, however many processes there are. Each of them dies
and comes back alone.
"""

import fcntl
import gc
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from flask import Flask

from jobs import links, ticker, worker
from jobs.accounts import Accounts
from jobs.herald import Herald
from jobs.supervision import Child, Supervisor
from jobs.warmup import warm
from ravada_web.config import Settings
from ravada_web.errors import CannotRun
from ravada_web.extensions import db, queues
from ravada_web.gateway import __main__ as gateway
from ravada_web.helper import serving as helper
from ravada_web.process import set_name
from ravada_web.web import serving

# Launches wait for their nodes more than for us, so several go side by side; checks of nodes that hang must not hold up
# the others'; a host that is joined may take seconds to answer, or never; three batches keep two cores busy.
WORKERS = {"interactive": 3, "checks": 2, "setup": 2, "default": 1, "batches": 3, "bulk": 1}
# What the workers of a queue do before it: what is asked for in bulk is short, and gives way.
BEFORE = {"batches": ["default"]}
# Who moves desktops besides its own work: several at once, and never all workers of a queue, since one may take long.
MOVERS = {"worker setup 2", "worker batches 2", "worker batches 3", "worker bulk"}
# Checks come after pages: a round of hundreds of nodes takes most of a core. Not far after: one may hold the database.
NICE = {"checks": 5}
ANSWER_SECONDS = 0.2


def run(app: Flask, accounts: Accounts) -> None:
    """Run all processes until told to stop; to be called within `alone`."""
    set_name("parent")
    with accounts.acting():
        load(app)
    Supervisor(stages(app, app.extensions["settings"], accounts), Herald(app, accounts).look).run()


def load(app: Flask) -> None:
    """Load, once for all, what each process would load by itself; nothing stays open that must not cross a fork."""
    warm()
    serving.load(app)
    db.engine.dispose()
    queues.close()
    # What is there now stays: the collector need not look at it again, nor touch its pages in each process.
    gc.collect()
    gc.freeze()


def stages(app: Flask, settings: Settings, accounts: Accounts) -> list[list[Child]]:
    """The processes, in the order in which they start; they are stopped from the last stage on."""
    redis, helped = partial(_redis, settings, accounts), accounts.helped
    return [
        [Child("redis", redis, answers=partial(_redis_answers, settings))] if settings.has_own_redis else [],
        [Child("helper", accounts.root(partial(helper.run, settings.helper_dir, helped.uid)))] if helped else [],
        [Child("links", accounts.work(partial(links.run, app)))],
        [
            Child("web", accounts.web(partial(serving.serve, app, settings.web_socket))),
            Child("gateway", partial(gateway.run, app, accounts.step_down_to_web)),
            Child("ticker", accounts.work(partial(ticker.run, app))),
            *(
                Child(name, accounts.work(partial(worker.run, app, _queues(name, queue))), NICE.get(queue, 0))
                for queue, count in WORKERS.items()
                for name in _names(f"worker {queue}", count)
            ),
        ],
    ]


def _queues(name: str, queue: str) -> list[str]:
    """What a worker takes, in this order."""
    return [*BEFORE.get(queue, []), queue, *(["moves"] if name in MOVERS else [])]


def _names(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name} {number}" for number in range(1, count + 1)]


def _redis_answers(settings: Settings) -> bool:
    """Whether Redis says anything at all, within a moment: the parent has no time to wait."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_SECONDS)
        try:
            connection.connect(str(settings.redis_socket))
            connection.sendall(b"PING\r\n")
            return bool(connection.recv(1))
        except OSError:
            return False


def _redis(settings: Settings, accounts: Accounts) -> None:
    """Become Redis: on a private socket, keeping nothing on the disk. Its user reaches that folder alone, and not by
    its path."""
    os.chdir(settings.redis_socket.parent)
    place = ("--port", "0", "--unixsocket", settings.redis_socket.name, "--unixsocketperm", "770")
    storage = ("--save", "", "--appendonly", "no")
    title = ("--proc-title-template", "ravada: redis", "--loglevel", "warning")
    accounts.redis(partial(os.execvp, "redis-server", ["redis-server", *place, *storage, *title]))()


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Hold the file with the parent's process number; it stays. Raises CannotRun where another process holds it."""
    path = settings.run_dir / "parent.pid"
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = path.read_text().strip()
            raise CannotRun(f"Ravada Web runs already on this data folder (process {pid}). Stop that first.") from error
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
