"""The web process: gunicorn and its settings; alone: `gunicorn --config python:ravada_web.web.serving app:app`.

A page is a few tens of milliseconds of one core and waits for nobody: the gateway takes requests and answers at the
browsers' pace. So there is a process a core and one more, and each takes the next request only when it has a thread
for it. The second thread is for what is long: an export that is larger than what the gateway keeps goes at its
browser's pace.
"""

import gc
import os
from pathlib import Path
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from sqlalchemy.orm import configure_mappers

from ravada_web import beats
from ravada_web.process import die_with, set_name

workers = max(3, min(16, 1 + (os.cpu_count() or 1)))
worker_class, threads, worker_connections = "gthread", 2, 2
# A process of the pages that does not go on for so long is killed and replaced; one that waits for a page does go on.
timeout = 10
# The gateway opens a connection for each request.
keepalive = 0
preload_app = True
control_socket_disable = True


def load(app: Flask) -> None:
    """Do once, before processes are forked, what each would do at its first pages: mapping and templates."""
    configure_mappers()
    for name in app.jinja_env.list_templates(extensions=["html"]):
        app.jinja_env.get_template(name)


def when_ready(server: Any) -> None:
    """gunicorn's hook, before it forks its processes."""
    load(server.app.wsgi())
    # What is there now stays: the collector need not look at it again, nor touch its pages in each process.
    gc.collect()
    gc.freeze()
    # A page of a list makes and drops some ten thousand objects, hardly any in cycles: the collector's usual 700 would
    # have it look a dozen times a page, for a tenth of the page's time.
    gc.set_threshold(20_000, 20, 50)


def pre_fork(_server: Any, _worker: Any) -> None:
    """gunicorn's hook, before each of its processes: it has given itself a name of its own."""
    set_name("web")


def post_fork(server: Any, _worker: Any) -> None:
    """gunicorn's hook, in each of its processes."""
    die_with(server.pid)
    set_name("web worker")


class _Arbiter(Arbiter):  # type: ignore[misc]  gunicorn has no types
    """gunicorn's parent of the pages' processes, which says that it goes on."""

    def murder_workers(self) -> None:
        """Called every second."""
        beats.beat()
        super().murder_workers()


class _Server(BaseApplication):
    """gunicorn with this file's settings, on an application that is at hand and a socket."""

    def __init__(self, app: Flask, socket: Path) -> None:
        self._app, self._socket = app, socket
        super().__init__()

    def load_config(self) -> None:
        for name in self.cfg.settings.keys() & globals().keys():
            self.cfg.set(name, globals()[name])
        self.cfg.set("bind", f"unix:{self._socket}")
        # Its own are those of when it was loaded.
        self.cfg.set("user", os.geteuid())
        self.cfg.set("group", os.getegid())

    def load(self) -> Flask:
        return self._app

    def run(self) -> None:
        """Serve until told to stop."""
        _Arbiter(self).run()


def serve(app: Flask, socket: Path) -> None:
    """Serve the pages on a socket until SIGTERM or SIGINT."""
    _Server(app, socket).run()
