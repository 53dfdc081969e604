"""What a round of node checks costs: `make bench-checks`. JSON on standard output, what happens on standard error.

The nodes are loopback addresses with one real sshd and libvirtd behind them; links, queue, workers and database are the
product's own, and a round is over when every node's row was written by it. The floor of the same run is a bare
`ssh -S … true` for every node, as many at a time as two workers ask.
"""

import json
import statistics
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import Node
from ravada_web.remote import ssh
from ravada_web.services.monitoring.probe import AT_ONCE
from ravada_web.services.nodes import endpoints
from tests.benchmarks.fleet import Fleet, blackhole, running_fleet, say
from tests.benchmarks.report import report

# Two workers, each asking so many side by side.
FLOOR_AT_ONCE = 2 * AT_ONCE
COUNTS = (10, 50, 200, 1000)
ROUNDS = 3


def floor(fleet: Fleet) -> float:
    """Seconds of a bare command over every link."""
    targets = [endpoints.target(node) for node in db.session.scalars(select(Node))]
    db.session.rollback()
    workspace = endpoints.workspace()
    commands = [[*ssh.command(workspace, where, control=workspace.control(where)), "true"] for where in targets]
    begun = time.monotonic()
    with ThreadPoolExecutor(FLOOR_AT_ONCE) as threads:
        codes = list(threads.map(lambda line: subprocess.run(line, stdin=subprocess.DEVNULL).returncode, commands))
    assert set(codes) == {0}
    return time.monotonic() - begun


def measured(fleet: Fleet, connect: float) -> dict[str, Any]:
    """The median of some rounds."""
    seconds, spent = [], []
    for _round in range(ROUNDS):
        before = fleet.cpu_seconds()
        seconds.append(fleet.check_all())
        spent.append(fleet.cpu_seconds() - before)
    memory = fleet.memory()
    return {
        "seconds": round(statistics.median(seconds), 2),
        "cpu_seconds": round(statistics.median(spent), 2),
        "rss_mib": round(sum(each.rss_mib for each in memory)),
        # The same with what processes share counted once.
        "pss_mib": round(sum(each.pss_mib for each in memory)),
        "connect_s": round(connect, 2),
    }


def main() -> None:
    """Measure each size of fleet, healthy and with a third of it blackholed."""
    found: dict[str, dict[str, Any]] = {"rounds": {}, "blackholed": {}}
    with running_fleet() as fleet:
        for count in COUNTS:
            say(f"{count} nodes ...")
            fleet.fill(count)
            connect = fleet.wait_linked(count)
            fleet.check_all()
            assert fleet.states() == {"up": count}, fleet.states()
            bare = floor(fleet)
            rounds = measured(fleet, connect)
            ratio = round(rounds["seconds"] / bare, 2)
            found["rounds"][str(count)] = rounds | {"floor_s": round(bare, 2), "ratio": ratio}
            with blackhole():
                healthy = fleet.healthy_seconds()
                dark = count // 3
                assert fleet.states() == {"up": count - dark, "down": dark}, fleet.states()
                found["blackholed"][str(count)] = measured(fleet, connect) | {"healthy_seconds": round(healthy, 2)}
            say(json.dumps({kind: values[str(count)] for kind, values in found.items()}))
    report("bench-checks", found)


if __name__ == "__main__":
    main()
