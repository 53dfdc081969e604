"""What a node's death costs: `make bench-failover`. JSON on standard output, what happens on standard error. Deaths on
the lab are in `deaths`; how soon those in large fleets are known is measured here.

The nodes of `scale` are loopback addresses with one real sshd behind them, checked every 5 s by the product as it runs;
a death is that nothing comes from an address any more, not even a refusal, on connections that are open neither.
`down_s` is the time until the last of those that die together is down in the database.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from ravada_web.extensions import db
from ravada_web.models import Node, Observed
from tests.benchmarks import deaths
from tests.benchmarks.fleet import HOLE, Fleet, address, blackhole, dark, running_fleet, say
from tests.benchmarks.report import report
from tests.lab import missing_requirements
from tests.support.cluster import running_cluster
from tests.support.servers import wait_until

# So many nodes, of which so many die at once.
SCALES = {200: 3, 1000: 10}
CHECK_SECONDS = 5.0
LONGEST_SECONDS = 120.0


def down_seconds(count: int, dying: int) -> float:
    """Kill so many of the nodes that answer, in one instant; returns the seconds until all of them are down."""
    numbers = [number for number in range(count) if not address(number).startswith(HOLE)][:dying]
    names = [f"n{number}" for number in numbers]
    down = select(func.count()).select_from(Node).where(Node.name.in_(names), Node.seen == Observed.DOWN)

    def all_down() -> bool:
        db.session.rollback()
        return db.session.scalar(down) == dying

    with dark(", ".join(map(address, numbers)), "ravada_deaths"):
        begun = time.monotonic()
        wait_until(all_down, LONGEST_SECONDS, f"{dying} of {count} are down", poll=0.05)
        took = time.monotonic() - begun
    up = count - sum(address(number).startswith(HOLE) for number in range(count))
    wait_until(lambda: states().get(Observed.UP, 0) >= up, LONGEST_SECONDS, "they are back", poll=0.2)
    return round(took, 2)


def states() -> dict[str, int]:
    """How many nodes were seen last in each state."""
    db.session.rollback()
    return dict(db.session.execute(select(Node.seen, func.count()).group_by(Node.seen)).all())


def scaled(fleet: Fleet, count: int) -> dict[str, Any]:
    """The death of a few among so many nodes that are well; and among as many of which a third does not answer."""
    say(f"{count} nodes ...")
    fleet.fill(count)
    fleet.wait_linked(count)
    wait_until(lambda: states().get(Observed.UP) == count, LONGEST_SECONDS, "all are up", poll=0.2)
    found = {"down_s": down_seconds(count, SCALES[count])}
    with blackhole():
        wait_until(lambda: states().get(Observed.DOWN) == count // 3, LONGEST_SECONDS, "a third is dark", poll=0.2)
        found["third_dark_down_s"] = down_seconds(count, SCALES[count])
    say(json.dumps(found))
    return found


def scale(counts: list[int]) -> dict[str, Any]:
    """`scaled` for each of these sizes of fleet."""
    with running_fleet(interval=CHECK_SECONDS) as fleet:
        return {str(count): scaled(fleet, count) for count in counts}


def main() -> None:
    """Measure deaths on the lab and in large fleets; with numbers on the command line those sizes of fleet alone."""
    chosen = [int(word) for word in sys.argv[1:] if word.isdecimal()]
    found = {} if chosen else on_the_lab()
    report("bench-failover", {**found, "scale": scale(chosen or list(SCALES))})


def on_the_lab() -> dict[str, Any]:
    """Deaths of real nodes, and what becomes of the clones that ran there."""
    if reason := missing_requirements():
        sys.exit(reason)
    say("Bringing up the lab and the product ...")
    with (
        tempfile.TemporaryDirectory(prefix="rvb-") as folder,
        running_cluster(Path(folder), deaths.NODES) as cluster,
    ):
        return deaths.measure(cluster)


if __name__ == "__main__":
    main()
