"""200 consoles at once to 20 displays, then 1,000 live pages: `make bench-console`. JSON alone on standard output.

Every console asks for a frame twice a second and waits for it. First all connect to the displays' own sockets, then
all through the gateway, then both once more: what the gateway adds is the difference of their percentiles. One in
ten is the clone's user, the others look on, so that their bytes are filtered, too.
"""

import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from flask import Flask
from websockets.asyncio.client import connect

from ravada_web.extensions import db
from ravada_web.hypervisor.connection import open_connection
from ravada_web.models import CloneState, Role, User
from ravada_web.services.consoles import tickets
from ravada_web.services.nodes import endpoints
from ravada_web.services.people import users
from ravada_web.services.sign_in import sessions
from tests.benchmarks import streams
from tests.benchmarks.displays import cpu_seconds, percentile, resident_mib, socket_of
from tests.benchmarks.report import report
from tests.lab import missing_requirements
from tests.support.cluster import IMAGES, PASSWORD, Cluster, make_base, running_cluster
from tests.support.consoles import open_count
from tests.support.rfb import Viewer
from tests.support.servers import wait_until

DISPLAYS, PER_DISPLAY = 20, 10
SECONDS = 15.0
EVERY = 0.5
LIVE_PAGES = 1000
# 16 KiB of raw pixels: a menu that opens, some lines that are typed. A browser asks for them compressed.
FRAME = (64, 64)
Send = Callable[[bytes], Awaitable[None]]
Receive = Callable[[], Awaitable[bytes]]
Place = tuple[str, str, str]


def say(what: str) -> None:
    """Show progress."""
    print(what, file=sys.stderr, flush=True)


async def join(send: Send, receive: Receive) -> Viewer:
    """Shake hands with a display."""
    viewer = Viewer()
    while not viewer.ready:
        viewer.feed(await receive())
        if viewer.outgoing:
            await send(viewer.take())
    return viewer


async def look(viewer: Viewer, send: Send, receive: Receive, delays: list[float], together: asyncio.Barrier) -> None:
    """Wait for the others, then ask for frames and note how long each took."""
    await together.wait()
    end = time.perf_counter() + SECONDS
    await asyncio.sleep(random.random() * EVERY)
    while (asked := time.perf_counter()) < end:
        frames = viewer.frames
        await send(viewer.ask(*FRAME))
        while viewer.frames == frames:
            viewer.feed(await receive())
        delays.append(time.perf_counter() - asked)
        await asyncio.sleep(max(0.0, asked + EVERY - time.perf_counter()))


async def direct(path: Path, delays: list[float], together: asyncio.Barrier) -> None:
    """One console on the display's own socket; QEMU turns some away while it lets many others go."""
    for _attempt in range(20):
        reader, writer = await asyncio.open_unix_connection(str(path))

        async def send(data: bytes, writer: asyncio.StreamWriter = writer) -> None:
            writer.write(data)
            await writer.drain()

        async def receive(reader: asyncio.StreamReader = reader) -> bytes:
            return await _some(reader)

        try:
            viewer = await join(send, receive)
        except OSError:
            writer.close()
            await asyncio.sleep(0.5)
            continue
        await look(viewer, send, receive, delays, together)
        writer.close()
        return
    raise ConnectionError(f"{path} does not answer")


async def _some(reader: asyncio.StreamReader) -> bytes:
    data = await reader.read(1 << 16)
    if not data:
        raise ConnectionError("the display closed")
    return data


async def through(url: str, place: Place, delays: list[float], together: asyncio.Barrier) -> None:
    """One console through the gateway, as a browser opens it."""
    ticket, cookie, origin = place
    words = ["binary", f"ticket.{ticket}"]
    headers = {"Cookie": cookie}
    async with connect(url, origin=origin, subprotocols=words, additional_headers=headers, compression=None) as socket:

        async def receive() -> bytes:
            return bytes(await socket.recv())

        viewer = await join(socket.send, receive)
        await look(viewer, socket.send, receive, delays, together)


async def all_at_once(works: Sequence[Callable[[list[float], asyncio.Barrier], Awaitable[None]]]) -> list[float]:
    """Every console's delays."""
    delays: list[float] = []
    together = asyncio.Barrier(len(works))
    await asyncio.gather(*(work(delays, together) for work in works))
    return delays


def directly(paths: Sequence[Path]) -> list[float]:
    """The floor: as many consoles on the displays' own sockets."""
    return asyncio.run(
        all_at_once([lambda delays, together, path=path: direct(path, delays, together) for path in paths])
    )


def by_the_gateway(cluster: Cluster, clone_ids: Sequence[int]) -> list[float]:
    """The product: a user and nine who look on for each display."""
    url = f"ws://127.0.0.1:{cluster.settings.port}/console/stream"
    places = [place for number in range(PER_DISPLAY) for place in _places(cluster, number, clone_ids)]
    return asyncio.run(
        all_at_once([lambda delays, together, at=place: through(url, at, delays, together) for place in places])
    )


def _places(cluster: Cluster, number: int, clone_ids: Sequence[int]) -> list[Place]:
    """Tickets of one person for every display; the first person is their user."""
    db.session.rollback()
    user = db.session.query(User).filter_by(name=f"viewer{number}").one()
    token = sessions.begin(user, "127.0.0.1", "bench")
    found = sessions.find(token)
    assert found is not None
    cookie = cookie_of(cluster.app, token)
    return [(tickets.issue(user, found.id, clone_id), cookie, cluster.url) for clone_id in clone_ids]


def cookie_of(app: Flask, token: str) -> str:
    """The cookie of a browser that holds that session."""
    serializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    return f"{app.config['SESSION_COOKIE_NAME']}={serializer.dumps({'_user_id': token})}"


def prepare(cluster: Cluster) -> tuple[list[int], list[Path]]:
    """20 guests that show their firmware's screen, and the people; returns the clones, and their displays' sockets."""
    for number in range(PER_DISPLAY):
        users.create(None, f"viewer{number}", Role.OPERATOR if number else Role.USER, PASSWORD)
    blank = f"{IMAGES}/blank.qcow2"
    cluster.lab.master.run(["qemu-img", "create", "-f", "qcow2", blank, "16M"])
    make_base(cluster, "blank", [blank])
    cluster.create("shown", DISPLAYS, "--owner", "viewer0", "--start", base="blank")
    rows = cluster.wait_state("shown", CloneState.RUNNING)
    paths = []
    for row in rows:
        node = next(node for node in cluster.lab.nodes if node.name == row.node.name)
        with open_connection(endpoints.libvirt_uri(endpoints.target(row.node))) as connection:
            paths.append(socket_of(connection, node, row.uuid))
    return [row.id for row in rows], paths


def live_pages(cluster: Cluster) -> dict[str, object]:
    """A thousand open pages, told of ten changes."""
    say(f"{LIVE_PAGES} live pages ...")
    operators = [users.by_name(users.first_administrator(), f"viewer{number}") for number in range(1, PER_DISPLAY)]
    # A person has no more than 20 sessions, each with no more than 30 streams.
    chosen = [operators[number % len(operators)] for number in range(LIVE_PAGES // 20)]
    cookies = [cookie_of(cluster.app, sessions.begin(operator, "127.0.0.1", "bench")) for operator in chosen]
    gateway = cluster.pid_of("gateway")
    before, begun = cpu_seconds(gateway), time.perf_counter()
    delays = asyncio.run(streams.told(cluster.settings.port, cookies * 20, "operations"))
    return {
        "live_pages": LIVE_PAGES,
        "live_told": len(delays),
        "live_told_ms_p50": round(1000 * percentile(delays, 0.5), 1),
        "live_told_ms_p95": round(1000 * percentile(delays, 0.95), 1),
        "live_cpu_share": round((cpu_seconds(gateway) - before) / (time.perf_counter() - begun), 3),
        "live_rss_mib": round(resident_mib(gateway), 1),
    }


def measure(cluster: Cluster) -> dict[str, object]:
    """Both, by turns."""
    clone_ids, paths = prepare(cluster)
    gateway = cluster.pid_of("gateway")
    floor: list[float] = []
    delays: list[float] = []
    cpu, most = 0.0, 0.0
    for turn in (1, 2):
        say(f"Turn {turn}: {len(paths) * PER_DISPLAY} consoles directly ...")
        floor += directly(paths * PER_DISPLAY)
        say(f"Turn {turn}: as many through the gateway ...")
        before = cpu_seconds(gateway)
        delays += by_the_gateway(cluster, clone_ids)
        cpu += cpu_seconds(gateway) - before
        wait_until(lambda: open_count() == 0, 30, "all consoles are closed")
        most = max(most, resident_mib(gateway))
    return {
        "consoles": DISPLAYS * PER_DISPLAY,
        "displays": DISPLAYS,
        "seconds": 2 * SECONDS,
        "frames": len(delays),
        "direct_frames": len(floor),
        "direct_ms_p50": round(1000 * percentile(floor, 0.5), 2),
        "direct_ms_p95": round(1000 * percentile(floor, 0.95), 2),
        "added_ms_p50": round(1000 * (percentile(delays, 0.5) - percentile(floor, 0.5)), 2),
        "added_ms_p95": round(1000 * (percentile(delays, 0.95) - percentile(floor, 0.95)), 2),
        "rss_mib": round(most, 1),
        "cpu_share": round(cpu / (2 * SECONDS), 3),
        **live_pages(cluster),
    }


def main() -> None:
    """Run it all."""
    if reason := missing_requirements():
        sys.exit(reason)
    os.environ |= {"RAVADA_VIEWERS_PER_CLONE": str(PER_DISPLAY), "RAVADA_CONSOLES_PER_USER": str(DISPLAYS)}
    say("Bringing up the lab and the product ...")
    with tempfile.TemporaryDirectory(prefix="rvb-") as folder, running_cluster(Path(folder)) as cluster:
        result = measure(cluster)
    report("bench-console", result)


if __name__ == "__main__":
    main()
