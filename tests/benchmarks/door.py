"""Pages and consoles while thousands of slow connections come: `make bench-door`. JSON on standard output.

A person who is signed in asks for the page of their desktops, each time by a new connection, and ten consoles ask for
two frames a second; first in quiet, then while 5,000 connections from 50 addresses send a byte a second, or nothing,
and come again when they are turned out. What consoles add is against the display's own socket, in quiet.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ravada_web.extensions import db
from ravada_web.models import Clone, CloneState, Node, User
from ravada_web.services.consoles import tickets
from ravada_web.services.people import users
from ravada_web.services.sign_in import sessions
from ravada_web.services.transaction import transaction
from tests.benchmarks import slow
from tests.benchmarks.browser import Browser
from tests.benchmarks.console import SECONDS, Place, all_at_once, cookie_of, directly, through
from tests.benchmarks.displays import cpu_seconds, percentile, resident_mib
from tests.benchmarks.fleet import Fleet, running_fleet, say
from tests.benchmarks.report import report
from tests.support.cluster import PASSWORD, ROOT
from tests.support.consoles import open_count
from tests.support.house import qemu
from tests.support.processes import children_by_name
from tests.support.servers import wait_until

CONSOLES = 10
EVERY = 0.1


def furnish(fleet: Fleet, display: Path) -> None:
    """A node on this host, and alice's running desktops on it, which all show one display."""
    fleet.fill(1)
    alice = users.create(None, "alice", "user", PASSWORD)[0].id
    fleet.add_clones(CONSOLES, lambda _number: alice)
    with transaction() as session:
        session.query(Node).update({"local": True, "is_master": True})
        session.query(Clone).update({"state": CloneState.RUNNING, "display": str(display)})


def places(fleet: Fleet) -> list[Place]:
    """A ticket for each of alice's desktops."""
    db.session.rollback()
    alice = db.session.query(User).filter_by(name="alice").one()
    token = sessions.begin(alice, "127.0.0.1", "bench")
    found = sessions.find(token)
    assert found is not None
    cookie = cookie_of(fleet.app, token)
    clone_ids = [clone.id for clone in db.session.query(Clone)]
    return [(tickets.issue(alice, found.id, clone_id), cookie, fleet.url) for clone_id in clone_ids]


def pages(fleet: Fleet) -> list[float]:
    """Seconds of each time that alice asked for her desktops, while the consoles were measured."""
    browser = Browser(fleet.url)
    browser.post("/login", {"name": "alice", "password": PASSWORD})
    end, times = time.perf_counter() + SECONDS, []
    while (begun := time.perf_counter()) < end:
        assert browser.get("/").count('id="desktop-') == CONSOLES
        times.append(time.perf_counter() - begun)
        time.sleep(EVERY)
    return times


def consoles(fleet: Fleet) -> list[float]:
    """Seconds that each frame took through the gateway."""
    url = f"ws://127.0.0.1:{fleet.settings.port}/console/stream"
    works = [lambda delays, together, at=place: through(url, at, delays, together) for place in places(fleet)]
    return asyncio.run(all_at_once(works))


def both(fleet: Fleet) -> tuple[list[float], list[float]]:
    """Pages and consoles at the same time; what people wait for at the same time shows in both."""
    with ThreadPoolExecutor(1) as beside:
        asked = beside.submit(pages, fleet)
        seen = consoles(fleet)
        found = asked.result(), seen
    wait_until(lambda: open_count() == 0, 30, "all consoles are closed")
    return found


@contextmanager
def slow_crowd(port: int) -> Iterator["subprocess.Popen[str]"]:
    """Thousands who say next to nothing, for the block's time."""
    command = [sys.executable, "-m", "tests.benchmarks.slow", str(port)]
    crowd = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert crowd.stdout is not None
        assert crowd.stdout.readline() == "all\n"
        yield crowd
    finally:
        crowd.kill()
        crowd.wait()


def measure(fleet: Fleet, display: Path) -> dict[str, Any]:
    """Quiet, then with the crowd."""
    say("the display itself ...")
    bare = directly([display] * CONSOLES)
    say("pages and consoles in quiet ...")
    quiet_pages, quiet_frames = both(fleet)
    say(f"{slow.CONNECTIONS} slow connections ...")
    gateway = children_by_name(fleet.process.pid)["gateway"]
    with slow_crowd(fleet.settings.port) as crowd:
        before = cpu_seconds(gateway)
        busy_pages, busy_frames = both(fleet)
        share = (cpu_seconds(gateway) - before) / SECONDS
        held = resident_mib(gateway)
        assert crowd.poll() is None
    quiet, busy = percentile(quiet_pages, 0.95), percentile(busy_pages, 0.95)
    floor = percentile(bare, 0.95)
    return {
        "slow_connections": slow.CONNECTIONS,
        "addresses": slow.ADDRESSES,
        "pages": len(busy_pages),
        "page_quiet_ms_p95": round(1000 * quiet, 1),
        "page_ms_p95": round(1000 * busy, 1),
        "page_ratio": round(busy / quiet, 2),
        "frames": len(busy_frames),
        "console_quiet_added_ms_p95": round(1000 * (percentile(quiet_frames, 0.95) - floor), 2),
        "console_added_ms_p95": round(1000 * (percentile(busy_frames, 0.95) - floor), 2),
        "rss_mib": round(held, 1),
        "cpu_share": round(share, 3),
    }


def main() -> None:
    """Run it all."""
    with tempfile.TemporaryDirectory(prefix="rd-") as folder:
        display = Path(folder) / "vnc.sock"
        with qemu(display), running_fleet() as fleet:
            furnish(fleet, display)
            result = measure(fleet, display)
    report("bench-door", result)


if __name__ == "__main__":
    main()
