"""One installation for the tests of a process, in its first state for each of them.

Making an application for each test cost more than most tests: its routes and its SQL were compiled again.
"""

import shutil
from copy import deepcopy
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from jinja2 import FileSystemBytecodeCache
from werkzeug.test import TestResponse

from ravada_web import create_app
from ravada_web.config import Settings
from ravada_web.extensions import limiter, queues
from ravada_web.services.nodes import trust


class Browser(FlaskClient):
    """A test client that reads each answer to its end and closes it, files included."""

    def open(self, *arguments: Any, buffered: bool = True, **options: Any) -> TestResponse:
        """Make a request."""
        return super().open(*arguments, buffered=buffered, **options)


class Installation:
    """Settings and the application with them; whatever a test changed in either, or in the data folder, is undone."""

    def __init__(self, folder: Path, redis_url: str, database_url: str = "") -> None:
        self.settings = Settings(data=folder / "data", redis_url=redis_url, master="ssh", database_url=database_url)
        self._first = deepcopy(vars(self.settings))
        self._templates = folder / "templates"
        self._templates.mkdir()
        self._app: Flask | None = None

    def reset(self, database: Path | None) -> Settings:
        """Returns the settings as they were at first, the data folder holding nothing but that SQLite file, if any."""
        vars(self.settings).update(deepcopy(self._first))
        self.remove()
        self.settings.make_folders()
        if database is not None:
            shutil.copy(database, self.settings.data / "ravada.sqlite")
        return self.settings

    def remove(self) -> None:
        """Remove the data folder; the sockets' folder is outside of it where its path is long."""
        shutil.rmtree(self.settings.data, ignore_errors=True)
        shutil.rmtree(self.settings.run_dir, ignore_errors=True)

    def application(self) -> Flask:
        """Returns the application as it was at first, whatever others were made meanwhile."""
        if self._app is None:
            self._app = create_app(self.settings)
            self._app.test_client_class = Browser
            self._app.config["TESTING"] = True
            self._app.jinja_env.bytecode_cache = FileSystemBytecodeCache(str(self._templates))
            self._limiter, self._config = dict(vars(limiter)), deepcopy(dict(self._app.config))
        self._app.extensions["settings"] = self.settings
        # What is there once in a process belongs to the application that was made last.
        vars(limiter).update(self._limiter)
        trust.listen(self._app)
        self._app.config.clear()
        self._app.config.update(deepcopy(self._config))
        (self.settings.data / "secret_key").write_text(self._app.config["SECRET_KEY"])
        queues.init_app(self._app)
        return self._app
