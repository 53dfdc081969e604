"""What the product takes while nobody asks anything of it: `make bench-rest`. JSON on standard output.

The first page is timed from `make run` in an empty data folder. Memory is PSS, what processes share counted once; the
links' ssh, one process a node, is told apart. The CPU's share is of one core, while checks run at their usual interval.
The nodes are loopback addresses with one real sshd and libvirtd behind them.
"""

import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from ravada_web.extensions import db
from ravada_web.services.people import users
from tests.benchmarks.fleet import Fleet, running_fleet, say
from tests.benchmarks.report import report
from tests.support.cluster import ROOT, free_port
from tests.support.processes import children
from tests.support.servers import wait_until

STARTS = 3
INTERVAL = 5.0
# What comes with a start, the links and the first checks, is over after this.
SETTLE_SECONDS, WATCHED_SECONDS = 30.0, 60.0


def first_page_seconds() -> float:
    """Seconds from the command to the first page, in a data folder that is empty."""
    with tempfile.TemporaryDirectory(prefix="rf-") as folder:
        port = free_port()
        environment = os.environ | {"RAVADA_DATA": f"{folder}/d", "RAVADA_PORT": str(port), "RAVADA_MASTER": "ssh"}
        with Path(folder, "log").open("wb") as log:
            begun = time.monotonic()
            product = subprocess.Popen(["make", "run"], cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            wait_until(lambda: shows_page(port), 120, "the first page", poll=0.02)
            return time.monotonic() - begun
        finally:
            (process,) = children(product.pid)
            os.kill(process, signal.SIGTERM)
            product.wait(60)


def shows_page(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/login", timeout=30) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def at_rest(fleet: Fleet) -> dict[str, float]:
    """Memory and CPU of all processes, once they have come to rest."""
    say("waiting until all is at rest ...")
    time.sleep(SETTLE_SECONDS)
    before, begun = fleet.cpu_seconds(), time.monotonic()
    time.sleep(WATCHED_SECONDS)
    share = (fleet.cpu_seconds() - before) / (time.monotonic() - begun)
    memory = fleet.memory()
    links = [each.pss_mib for each in memory if each.program == "ssh"]
    return {
        "pss_mib": round(sum(each.pss_mib for each in memory) - sum(links)),
        "processes": len(memory) - len(links),
        "ssh_pss_mib": round(sum(links)),
        "ssh_processes": len(links),
        "idle_cpu_share": round(share, 3),
    }


def main() -> None:
    """The first page; then a small house, and a large one."""
    starts = []
    for _start in range(STARTS):
        starts.append(first_page_seconds())
        say(f"first page after {starts[-1]:.1f} s")
    with running_fleet(interval=INTERVAL) as fleet:
        fleet.fill(3)
        fleet.wait_linked(3)
        small = at_rest(fleet)
        say(json.dumps(small))
        fleet.fill(200)
        admin = users.first_administrator().id
        fleet.add_clones(1000, lambda _number: admin)
        db.session.remove()
        fleet.wait_linked(200)
        large = at_rest(fleet)
    first = round(statistics.median(starts), 1)
    report("bench-rest", {"first_page_s": first, **small, "200 nodes, 1,000 clones": large})


if __name__ == "__main__":
    main()
