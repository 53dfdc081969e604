"""The gateway process: `python -m ravada_web.gateway`."""

import asyncio
import gc
import resource
import signal
import sys
from collections.abc import Callable

import structlog
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from ravada_web import beats, create_app
from ravada_web.config import Settings
from ravada_web.errors import RavadaError
from ravada_web.gateway.consoles import PING_SECONDS, Consoles
from ravada_web.gateway.crowd import Crowd
from ravada_web.gateway.front import Front
from ravada_web.gateway.hub import Hub
from ravada_web.gateway.listening import Door, bound, most_connections
from ravada_web.gateway.live import Streams
from ravada_web.gateway.proxy import Pages
from ravada_web.gateway.rows import Rows

log = structlog.get_logger()
CHECK_SECONDS = 1.0
LEAVE_SECONDS = 3.0


async def serve(settings: Settings, door: Door, rows: Rows, reach: Rows, checks: Rows) -> None:
    """Serve until SIGTERM or SIGINT. Raises what ended a background task: without those no console may stay open."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    hub = Hub(settings.redis_url, rows)
    doors = Consoles(rows, reach, checks, hub)
    streams = Streams(hub, rows, checks)
    await doors.begin()
    crowd = Crowd(most_connections())
    front = Front(rows.app, crowd, streams, doors, Pages(settings.web_socket, crowd))
    listener = front.listen(door)
    background = (hub.run(), _check_periodically(doors, streams), _beat())
    work = [asyncio.create_task(each) for each in background]
    log.info("the gateway listens", host=settings.host, port=settings.port)
    await asyncio.wait({asyncio.create_task(stopped.wait()), *work}, return_when=asyncio.FIRST_COMPLETED)
    listener.close()
    await doors.close()
    broken = [task for task in work if task.done()]
    for task in work:
        task.cancel()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.wait(others, timeout=LEAVE_SECONDS)
    await hub.close()
    for task in broken:
        task.result()


async def _beat() -> None:
    """Say that the loop goes on."""
    while True:
        beats.beat()
        await asyncio.sleep(CHECK_SECONDS)


async def _check_periodically(doors: Consoles, streams: Streams) -> None:
    """Check periodically whether open consoles and streams may stay open."""
    beat = 0
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        beat += 1
        try:
            await doors.check()
            if beat % 5 == 0:
                await streams.check()
            if beat % int(PING_SECONDS / CHECK_SECONDS) == 0:
                await doors.ping()
        except (SQLAlchemyError, RavadaError) as error:
            log.warning("rights not asked, asking again", error=str(error))


def run(app: Flask, step_down: Callable[[], None] = lambda: None) -> None:
    """Serve, with as many open files as the system lets us have: one a stream, two a console.

    `step_down` is called once the port and the certificate's key are open, which another user may not have.
    """
    settings: Settings = app.extensions["settings"]
    door = Door(bound(settings.host, settings.port), settings.tls_context())
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    step_down()
    # Threads that ask the database hand the interpreter back sooner than after Python's 5 ms: screens wait for it.
    sys.setswitchinterval(0.0005)
    # Looking through all objects for cycles would stop every screen for a tenth of a second, longer with each visitor.
    # What is there now stays; the young ones, which a closed connection leaves behind, are looked at in large lots.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 1000)
    # Waiting for nodes has its own threads, and so have the checks: a node that hangs blocks neither.
    threads = [Rows(app, 6, "rows"), Rows(app, 6, "reach"), Rows(app, 1, "checks")]
    try:
        asyncio.run(serve(settings, door, *threads))
    finally:
        for rows in threads:
            rows.close()


if __name__ == "__main__":
    run(create_app())
