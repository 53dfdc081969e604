"""From the click to the first picture: `make bench-launch`. JSON on standard output, what happens on standard error.

A stopped clone is launched in a real browser, from its card to something on the canvas that is not black; the floor
is virDomainCreate and a VNC handshake to the same kind of clone on the same nodes, in the same run, by turns. Then the
same launch right after an administrator started many others, on the same nodes.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from ravada_web.hypervisor import domains
from ravada_web.hypervisor.connection import open_connection
from ravada_web.models import Clone, CloneState
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.nodes import endpoints
from ravada_web.services.people import users
from tests.benchmarks.displays import first_picture, socket_of
from tests.benchmarks.report import report
from tests.browser.conftest import ARGUMENTS
from tests.lab import missing_requirements
from tests.support.cluster import IMAGES, PASSWORD, Cluster, make_base, running_cluster

ROUNDS = 6
# What an administrator starts at once, and how often a launch is measured behind it.
BULK, BULK_ROUNDS = 40, 3
SOMETHING = """() => {
  const canvas = document.querySelector("#screen canvas");
  if (!canvas?.width || !document.querySelector(".is-connected")) return false;
  const context = canvas.getContext("2d");
  return context.getImageData(0, 0, 256, 64).data.some((value, at) => at % 4 !== 3 && value);
}"""


def say(what: str) -> None:
    """Show progress."""
    print(what, file=sys.stderr, flush=True)


def floor(cluster: Cluster, clone: Clone) -> float:
    """Seconds of a bare start, until the display shows something; the clone is off again afterwards."""
    node = next(node for node in cluster.lab.nodes if node.name == clone.node.name)
    with open_connection(endpoints.libvirt_uri(endpoints.target(clone.node))) as connection:
        begun = time.perf_counter()
        connection.lookupByUUIDString(clone.uuid).create()
        first_picture(socket_of(connection, node, clone.uuid))
        seconds = time.perf_counter() - begun
        domains.force_off(connection, clone.uuid)
    return seconds


def click(page: Page, url: str, selector: str) -> float:
    """Seconds from a click on the user's page to the picture."""
    page.goto(url)
    page.wait_for_selector(selector)
    begun = time.perf_counter()
    page.evaluate("selector => document.querySelector(selector).click()", selector)
    page.wait_for_url("**/console/*", wait_until="commit")
    page.wait_for_function(SOMETHING, polling=10)
    return time.perf_counter() - begun


def product(cluster: Cluster, page: Page, clone: Clone) -> tuple[float, float]:
    """Seconds to the picture of the stopped clone, and of the same once it runs; it is off again afterwards."""
    card = f"#desktop-{clone.id} .desktop-actions"
    cold = click(page, cluster.url, f"{card} button")
    cluster.wait_state(clone.name.rpartition("-")[0], CloneState.RUNNING)
    warm = click(page, cluster.url, f"{card} a, {card} button")
    clone_actions.force_off(cluster.admin, [clone.id])
    cluster.wait_state(clone.name.rpartition("-")[0], CloneState.STOPPED)
    return cold, warm


def start_many(cluster: Cluster) -> None:
    """Have many others start: firmware alone, so that what is measured is their start and not what they do then."""
    clone_actions.start(cluster.admin, [clone.id for clone in cluster.clones("many")])


def behind_bulk(cluster: Cluster, page: Page) -> tuple[float, float]:
    """Seconds to the picture of a stopped clone, alone and behind the start of many; all are off afterwards."""
    alone, _warm = product(cluster, page, cluster.clones("click")[0])
    start_many(cluster)
    cold, _warm = product(cluster, page, cluster.clones("click")[0])
    starting = [clone for clone in cluster.clones("many") if clone.state == CloneState.STARTING]
    say(f"alone {alone:.3f} s, behind bulk {cold:.3f} s, {len(starting)} still to start")
    many = cluster.wait_state("many", CloneState.RUNNING, 180)
    clone_actions.force_off(cluster.admin, [clone.id for clone in many])
    cluster.wait_state("many", CloneState.STOPPED, 120)
    return alone, cold


def make_many(cluster: Cluster) -> None:
    """The many: clones of an empty disk."""
    path = f"{IMAGES}/empty.qcow2"
    cluster.lab.master.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "64M"])
    make_base(cluster, "empty", [path])
    cluster.create("many", BULK, base="empty")


def open_page(browser: Browser, cluster: Cluster) -> Page:
    """A user's browser, signed in, its cache warm as after the first visit."""
    users.create(None, "launcher", "user", PASSWORD)
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.goto(f"{cluster.url}/login")
    page.get_by_label("Name").fill("launcher")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{cluster.url}/")
    return page


def measure(cluster: Cluster, browser: Browser) -> dict[str, object]:
    """By turns the floor and the product, a clone of its own each."""
    page = open_page(browser, cluster)
    (bare,) = cluster.create("bare", 1)
    (clone,) = cluster.create("click", 1, "--owner", "launcher")
    product(cluster, page, clone)
    floor(cluster, bare)
    floors, colds, warms = [], [], []
    for number in range(ROUNDS):
        floors.append(floor(cluster, cluster.clones("bare")[0]))
        cold, warm = product(cluster, page, cluster.clones("click")[0])
        colds.append(cold)
        warms.append(warm)
        say(f"round {number + 1}: bare {floors[-1]:.3f} s, launched {cold:.3f} s, opened {warm:.3f} s")
    make_many(cluster)
    pairs = [behind_bulk(cluster, page) for _round in range(BULK_ROUNDS)]
    alone, behind = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
    return {
        "rounds": ROUNDS,
        "bare_ms": round(1000 * statistics.median(floors)),
        "cold_ms": round(1000 * statistics.median(colds)),
        "cold_ratio": round(statistics.median(colds) / statistics.median(floors), 3),
        "warm_ms": round(1000 * statistics.median(warms)),
        "behind_bulk_ms": round(1000 * behind),
        "behind_bulk_ratio": round(behind / alone, 3),
    }


def main() -> None:
    """Run it all."""
    if reason := missing_requirements():
        sys.exit(reason)
    say("Bringing up the lab and the product ...")
    with (
        tempfile.TemporaryDirectory(prefix="rvb-") as folder,
        running_cluster(Path(folder)) as cluster,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=ARGUMENTS)
        result = measure(cluster, browser)
        browser.close()
    report("bench-launch", result)


if __name__ == "__main__":
    main()
