"""What a live move costs: `make bench-moves`. JSON on standard output, what happens on standard error.

One guest of 128 MiB, idle and then writing 20 MiB/s to its disk, is moved by the product from node to node and back,
while its console is open in a real browser; `bare_s` is what libvirt alone takes for a domain like it, in the same run.
`console_gap_ms` is the time from the end of the old display's connection, which the gateway keeps until the clone's row
is switched, to the first picture of the new one; `downtime_ms` is how long the guest stood still. All are medians.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import CloneState, Remains
from ravada_web.services.moves import requests
from ravada_web.services.nodes import endpoints
from tests.benchmarks import bare_moves
from tests.benchmarks.fleet import say
from tests.benchmarks.launch import open_page
from tests.benchmarks.report import report
from tests.browser.conftest import ARGUMENTS
from tests.lab import LabNode, missing_requirements
from tests.lab.keyboard import typed
from tests.lab.screen import read_screen, screenshot
from tests.support.cluster import IMAGES, Cluster, ended, running_cluster
from tests.support.servers import wait_until

ROUNDS = 4
PATIENCE = 120.0
WRITES = "while true; do dd if=/dev/zero of=/dev/vda bs=1024k count=20 conv=fsync; sleep 1; done"
# When connections to displays have ended, and when each has brought its first picture: RFB's FramebufferUpdate, with
# more in it than an empty one has.
LOOK = """
window.pictures = { ended: [], first: [] };
window.WebSocket = new Proxy(window.WebSocket, {
  construct(Connection, given) {
    const made = new Connection(...given);
    let seen = false;
    made.addEventListener("message", ({ data }) => {
      if (seen || data.byteLength < 500 || new Uint8Array(data)[0] !== 0) return;
      seen = true;
      window.pictures.first.push(performance.now());
    });
    made.addEventListener("close", () => window.pictures.ended.push(performance.now()));
    return made;
  },
});
"""


def main() -> None:
    """Bring up the lab and the product, move, and report."""
    if reason := missing_requirements():
        sys.exit(reason)
    say("Bringing up the lab and the product ...")
    with (
        tempfile.TemporaryDirectory(prefix="rvb-") as folder,
        running_cluster(Path(folder), 2) as cluster,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        page = open_page(browser, cluster)
        page.add_init_script(LOOK)
        result = measure(cluster, page)
        browser.close()
    report("bench-moves", result)


def measure(cluster: Cluster, page: Page) -> dict[str, Any]:
    """Both cases, one after the other."""
    cluster.create("guest", 1, "--start", "--owner", "launcher")
    (clone,) = cluster.wait_state("guest", CloneState.RUNNING)
    page.goto(f"{cluster.url}/console/{clone.id}")
    page.wait_for_function("() => window.pictures.first.length > 0")
    # The guest has come up, and does nothing any more.
    page.wait_for_timeout(15_000)
    idle = case(cluster, page, "")
    typed(nodes(cluster)[0], clone.name, WRITES)
    return {"idle": idle, "writing": case(cluster, page, WRITES)}


def case(cluster: Cluster, page: Page, work: str) -> dict[str, float]:
    """The moves of a guest that does this."""
    moves = [move(cluster, page) for _round in range(ROUNDS)]
    bare = bare_move(cluster, work)
    seconds, downtimes, gaps = (statistics.median(each) for each in zip(*moves, strict=True))
    found = {
        "seconds": round(seconds, 2),
        "bare_s": round(bare.seconds, 2),
        "downtime_ms": round(downtimes),
        "bare_downtime_ms": bare.downtime_ms,
        "console_gap_ms": round(gaps),
    }
    say(str(found))
    return found


def nodes(cluster: Cluster) -> tuple[LabNode, LabNode]:
    """The node that the guest is on, and the other one."""
    (clone,) = cluster.clones("guest")
    one, other = cluster.lab.nodes
    return (one, other) if one.name == clone.node.name else (other, one)


def move(cluster: Cluster, page: Page) -> tuple[float, float, float]:
    """Move the guest to the other node; returns the seconds, the guest's downtime and the console's gap in ms."""
    (clone,) = cluster.clones("guest")
    _here, there = nodes(cluster)
    wait_until(lambda: not left(), PATIENCE, "nothing is left of the last move")
    seen = page.evaluate("window.pictures.first.length")
    begun = time.monotonic()
    moved = ended(requests.request_move(cluster.admin, clone.id, cluster.node(there.name).id, live=True).id)
    seconds = time.monotonic() - begun
    if moved.state != "done":
        raise AssertionError(f"not moved: {moved.message}")
    page.wait_for_function("seen => window.pictures.first.length > seen", arg=seen)
    gap = page.evaluate("window.pictures.first.at(-1) - window.pictures.ended.at(-1)")
    return seconds, moved.result["downtime_ms"], gap


def left() -> bool:
    """Whether anything of former moves is still to be removed."""
    db.session.rollback()
    return db.session.scalar(select(Remains.id).limit(1)) is not None


def bare_move(cluster: Cluster, work: str) -> bare_moves.BareMove:
    """Migrate a domain like the guest by libvirt alone, while it does the same; its picture shows when it is up."""
    (clone,) = cluster.clones("guest")
    here, there = nodes(cluster)
    backing = f"{IMAGES}/{clone.version.files[0].file_name}"
    (name,) = bare_moves.make_domains(here, clone.name, 1, backing)
    try:
        wait_until(lambda: is_up(here, name), PATIENCE, "the guest is up")
        if work:
            typed(here, name, work)
        uris = [endpoints.libvirt_uri(endpoints.target(cluster.node(node.name))) for node in (here, there)]
        return bare_moves.move(uris[0], uris[1], here, there, name, backing)
    finally:
        bare_moves.remove(cluster.lab.nodes, [name])


def is_up(node: LabNode, name: str) -> bool:
    """Whether the guest shows its prompt."""
    return any("card:" in line for line in read_screen(screenshot(node, name)))


if __name__ == "__main__":
    main()
