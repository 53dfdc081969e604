"""How long pages take in a large house: `make bench-pages`. JSON on standard output, what happens on standard error.

200 nodes and 20,000 clones, pages asked for by 4 browsers at once through the real server, every answer checked for
its status and its rows; on SQLite and on PostgreSQL, quiet, and with a third of the nodes dead while checks run. The
floor of the same run is a file of a few bytes from the same server.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import event

from ravada_web.extensions import db
from ravada_web.services.people import users
from tests.benchmarks.browser import Browser
from tests.benchmarks.fleet import Fleet, blackhole, running_fleet, say
from tests.benchmarks.report import report
from tests.support.cluster import PASSWORD
from tests.support.factories import give_password
from tests.support.postgresql import postgresql

NODES, CLONES, DESKTOPS = 200, 20_000, 8
CLIENTS, ASKED = 4, 60
INTERVAL = 5.0
SMALL_FILE = "/static/icon.svg"


def furnish(fleet: Fleet) -> None:
    """The nodes, a base on all of them, and the clones: some for alice, the others the administrator's."""
    fleet.fill(NODES)
    give_password(users.first_administrator(), PASSWORD)
    admin = users.first_administrator().id
    alice = users.create(None, "alice", "user", PASSWORD)[0].id
    fleet.add_clones(CLONES, lambda number: alice if number < DESKTOPS else admin)


# A page, who asks for it, how many rows it shows and what marks one.
PAGES: dict[str, tuple[str, str, int, str]] = {
    "nodes": ("/nodes", "admin", 50, '<tr id="node-'),
    "clones": ("/clones", "admin", 50, '<tr id="clone-'),
    "desktops": ("/", "alice", DESKTOPS, 'id="desktop-'),
}


def signed_in(fleet: Fleet, name: str) -> Browser:
    """A browser of who asks for that page."""
    browser = Browser(fleet.url)
    browser.post("/login", {"name": PAGES[name][1], "password": PASSWORD})
    return browser


def ask(browser: Browser, name: str) -> list[float]:
    """Milliseconds of each time the page was asked for."""
    path, _who, rows, mark = PAGES[name]
    times = []
    for _time in range(ASKED):
        begun = time.perf_counter()
        text = browser.get(path)
        times.append((time.perf_counter() - begun) * 1000)
        assert text.count(mark) == rows, f"{path}: {text.count(mark)} rows"
    return times


def measured(fleet: Fleet, name: str) -> dict[str, float]:
    """The percentiles of a page, asked for by all clients at once, and its statements."""
    browsers = [signed_in(fleet, name) for _client in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as threads:
        times = sorted(ms for each in threads.map(lambda browser: ask(browser, name), browsers) for ms in each)
    cuts = statistics.quantiles(times, n=100)
    figures = {"p50_ms": cuts[49], "p95_ms": cuts[94], "p99_ms": cuts[98]}
    return {key: round(value, 1) for key, value in figures.items()} | {"queries": queries(fleet, name)}


def queries(fleet: Fleet, name: str) -> int:
    """How many statements the page takes of the database, with the same code in this process."""
    with counted() as count, ThreadPoolExecutor(1) as apart:  # a thread of its own: its requests have their own context
        client = fleet.app.test_client()
        path, who, _rows, _mark = PAGES[name]
        token = apart.submit(client.get, "/login").result().text.split('name="csrf-token" content="')[1].split('"')[0]
        fields = {"csrf_token": token, "name": who, "password": PASSWORD}
        apart.submit(client.post, "/login", data=fields).result()
        before = count()
        assert apart.submit(client.get, path).result().status_code == 200
        return count() - before


@contextmanager
def counted() -> Iterator[Callable[[], int]]:
    """Count the statements of the block."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        seen.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield lambda: len(seen)
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def floor(fleet: Fleet) -> float:
    """The median of a small file, in milliseconds, asked for by one browser."""
    browser = Browser(fleet.url)
    times = []
    for _time in range(ASKED):
        begun = time.perf_counter()
        browser.get(SMALL_FILE)
        times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)


def of_database(url: str, dead: bool) -> dict[str, Any]:
    """All pages on one database; with a third of the nodes dead, while checks run, or with none running."""
    with running_fleet(url, INTERVAL if dead else 1_000_000) as fleet:
        furnish(fleet)
        fleet.wait_linked(NODES)
        with blackhole() if dead else nullcontext():
            if dead:
                fleet.wait_down(NODES // 3)
            bare = floor(fleet)
            found: dict[str, Any] = {"floor_ms": round(bare, 1)}
            for name in PAGES:
                found[name] = measured(fleet, name)
                found[name]["ratio"] = round(found[name]["p50_ms"] / bare, 1)
                say(f"  {name}: {found[name]}")
            return found


def both(dead: bool) -> dict[str, Any]:
    """SQLite, then PostgreSQL."""
    say("SQLite ...")
    found = {"sqlite": of_database("", dead)}
    say("PostgreSQL ...")
    with tempfile.TemporaryDirectory(prefix="rp-") as name:
        Path(name).chmod(0o755)
        with postgresql(Path(name) / "pg") as url:
            found["postgresql"] = of_database(url, dead)
    return found


def main() -> None:
    """Quiet, then with a third of the nodes dead."""
    quiet = both(dead=False)
    say("A third of the nodes dead, checks running:")
    report("bench-pages", {**quiet, "blackholed": both(dead=True)})


if __name__ == "__main__":
    main()
