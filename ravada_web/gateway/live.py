"""Live pages: one stream of server-sent events a page, which names the topics that changed and nothing else."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import parse_qs

from ravada_web.errors import RavadaError
from ravada_web.gateway.http import Head, answer
from ravada_web.gateway.hub import EVENT_SECONDS, Hub
from ravada_web.gateway.rows import Rows
from ravada_web.gateway.visitor import token
from ravada_web.services.live import subscriptions

PATH = "/live"
ALIVE_SECONDS = 15.0
MOST_STREAMS = 30
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\nX-Accel-Buffering: no\r\n"
    b"X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n"
)


class Streams:
    """All open streams; `check` ends those whose session has ended, or whose rights have changed."""

    def __init__(self, hub: Hub, rows: Rows, checks: Rows) -> None:
        self._hub = hub
        self._rows = rows
        self._checks = checks
        self._of: Counter[int] = Counter()
        self._open: dict[asyncio.Task[None], subscriptions.Listener] = {}

    async def serve(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Stream to one page until it leaves, or its session ends."""
        query = parse_qs(head.query)
        topics = query.get("topics", [""])[0].split()
        since = head.get("last-event-id") or query.get("since", ["0"])[0]
        number = int(since) if since.isascii() and since.isdecimal() and len(since) < 18 else 0
        try:
            granted = await self._rows.run(subscriptions.subscribe, token(self._rows.app, head), topics)
        except RavadaError as error:
            await answer(writer, HTTPStatus(error.status), str(error))
            return
        if granted is None:
            await answer(writer, HTTPStatus.UNAUTHORIZED, "Sign in first.")
            return
        listener, names = granted
        if self._of[listener.sign_in_id] >= MOST_STREAMS:
            await answer(writer, HTTPStatus.TOO_MANY_REQUESTS, "Too many pages are open.")
            return
        await self._stream(listener, names, number, reader, writer)

    async def _stream(
        self,
        listener: subscriptions.Listener,
        names: Mapping[str, str],
        since: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        sender = asyncio.create_task(self._send_changes(names, since, writer))
        self._open[sender] = listener
        self._of[listener.sign_in_id] += 1
        closed = asyncio.create_task(_until_closed(reader))
        try:
            await asyncio.wait({sender, closed}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sender.cancel()
            closed.cancel()
            del self._open[sender]
            self._of[listener.sign_in_id] -= 1
            if not self._of[listener.sign_in_id]:
                del self._of[listener.sign_in_id]

    async def _send_changes(self, names: Mapping[str, str], since: int, writer: asyncio.StreamWriter) -> None:
        woken = asyncio.Event()
        topics = set(names.values())
        try:
            await self._hub.watch(topics)
            self._hub.wakers.add(woken.set)
            # The first digest may already include a change that is not published yet: the first change of rows after it
            # is sent whatever the digest says.
            step, young = self._hub.step, set(names)
            writer.write(HEAD)
            missed = [name for name, topic in names.items() if self._hub.may_have_changed_since(topic, since)]
            _write_event(writer, self._hub.number, missed)
            while True:
                await writer.drain()
                await self._wait(woken, writer)
                woken.clear()
                changed = [
                    name for name, topic in names.items() if self._hub.changed_since(topic, step, by_rows=name in young)
                ]
                step = self._hub.step
                young -= set(changed)
                if changed:
                    _write_event(writer, self._hub.number, changed)
                    await writer.drain()
                    await asyncio.sleep(EVENT_SECONDS)
        finally:
            self._hub.wakers.discard(woken.set)
            self._hub.unwatch(topics)

    async def _wait(self, woken: asyncio.Event, writer: asyncio.StreamWriter) -> None:
        """Until something changed; a line now and then shows both ends that the other is there."""
        while True:
            try:
                await asyncio.wait_for(woken.wait(), ALIVE_SECONDS)
                return
            except TimeoutError:
                writer.write(b":\n\n")
                await writer.drain()

    async def check(self) -> None:
        """End the streams that may not go on; their pages subscribe again."""
        held = await self._checks.run(subscriptions.holding, set(self._open.values()))
        for task, listener in list(self._open.items()):
            if listener not in held:
                task.cancel()


def _write_event(writer: asyncio.StreamWriter, number: int, names: list[str]) -> None:
    """Write one event; its id is where a page that was cut off resumes."""
    data = " ".join(names)
    writer.write(f"id: {number}\nevent: changed\ndata: {data}\n\n".encode())


async def _until_closed(reader: asyncio.StreamReader) -> None:
    while await reader.read(1024):
        pass
