"""Telling the administrators what stands still on this host, and that its disk runs full, whatever else is away.

It is the parent that tells, who lives when nothing else does: by a process of its own for each message, since it must
wait for no mail server; without the database and without Redis.
"""

import socket
import time
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from http.client import HTTPException

import structlog
from flask import Flask

from jobs.accounts import Accounts
from jobs.supervision import Child
from ravada_web.config import Settings
from ravada_web.messages import Message, message
from ravada_web.models import Level
from ravada_web.services import changes
from ravada_web.services.monitoring import channels
from ravada_web.services.storage import data_disk

log = structlog.get_logger()
# A channel that failed is tried again so often, and after so many seconds.
TRIES, PAUSE_SECONDS = 5, 30.0


class News:
    """What was told, and what is new: a trouble at once, its end once it has lasted for `settle` seconds."""

    def __init__(self, settle: float) -> None:
        self._settle = settle
        self._told: dict[str, Message] = {}
        self._over: dict[str, float] = {}

    def take(self, troubles: Mapping[str, Message], moment: float) -> list[Message]:
        """Returns what is to be told now, given all troubles of the moment (monotonic) by their names."""
        fresh = {name: text for name, text in troubles.items() if name not in self._told}
        self._told |= fresh
        self._over = {name: self._over.get(name, moment) for name in self._told if name not in troubles}
        ended = [name for name, since in self._over.items() if moment - since >= self._settle]
        return [*fresh.values(), *(message("alerts.over", before=self._told.pop(name)) for name in ended)]


class Herald:
    """Looks at what the parent sees, and has told what is new of it."""

    def __init__(self, app: Flask, accounts: Accounts) -> None:
        self._app = app
        self._accounts = accounts
        self._settings: Settings = app.extensions["settings"]
        self._host = socket.gethostname()
        self._news = News(self._settings.alert_settle)

    def look(self, still: Collection[str]) -> None:
        """Tell what is new, given the names of the processes that stand still."""
        if lines := self._news.take(self._troubles(still), time.monotonic()):
            for line in lines:
                log.warning("to be told", line=line.to_json())
            Child("herald", self._accounts.work(partial(self._tell, lines))).start()

    def _troubles(self, still: Collection[str]) -> dict[str, Message]:
        troubles = {name: message("alerts.process_still", process=name, host=self._host) for name in still}
        disk = data_disk.read(self._settings)
        if disk.level != Level.OK:
            text = message("alerts.disk_full", host=self._host, used_percent=disk.used_percent, free_mib=disk.free_mib)
            # What gets worse is told once more.
            troubles |= {"disk": text} if disk.level == Level.WARNING else {"disk": text, "disk, critical": text}
        return troubles

    def _tell(self, lines: Sequence[Message]) -> None:
        """In a process of its own: send, and have open pages look again."""
        with self._app.app_context():
            changes.publish({"nodes", "operations"})
            for name, send in channels.configured(self._settings).items():
                self._send(name, send, lines)

    def _send(self, name: str, send: channels.Send, lines: Sequence[Message]) -> None:
        for left in reversed(range(TRIES)):
            try:
                send(message("alerts.server", host=self._host), lines)
                return
            except (channels.ChannelFailed, OSError, HTTPException) as error:
                log.warning("alert not sent", channel=name, error=str(error), tries_left=left)
            if left:
                time.sleep(PAUSE_SECONDS)
