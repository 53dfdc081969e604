"""What a drain costs: `make bench-drain`. JSON on standard output, what happens on standard error.

One of five nodes has 20 clones of firmware alone that run, and 20 that are off, each with a mark in its disk; it is
drained to the four others, live and cold. The floor are as many live migrations by libvirt alone, one after another, to
the same four nodes, in the same run: `plain_s`, of which the 20 that are off are no part. `ratio` is the drain's
seconds to those.
"""

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import Clone, CloneState, Operation
from ravada_web.services.nodes import endpoints
from tests.benchmarks import bare_moves
from tests.benchmarks.displays import percentile
from tests.benchmarks.fleet import say
from tests.benchmarks.marks import has_mark, write_mark
from tests.benchmarks.report import report
from tests.lab import LabNode, missing_requirements
from tests.support.cluster import IMAGES, Cluster, allow, make_base, running_cluster

NODES, EACH = 5, 20
PATIENCE = 300.0


def main() -> None:
    """Bring up the lab and the product, drain, and report."""
    if reason := missing_requirements():
        sys.exit(reason)
    say("Bringing up the lab and the product ...")
    with tempfile.TemporaryDirectory(prefix="rvb-") as folder, running_cluster(Path(folder), NODES) as cluster:
        report("bench-drain", measure(cluster))


def measure(cluster: Cluster) -> dict[str, Any]:
    """The floor, then the drain."""
    source, *targets = reversed(cluster.lab.nodes)
    path = f"{IMAGES}/firmware.qcow2"
    cluster.lab.master.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "64M"])
    base_id = make_base(cluster, "firmware", [path])
    allow(cluster, base_id, [source.name])
    cluster.create("off", EACH, base="firmware")
    cluster.create("run", EACH, "--start", base="firmware")
    running = cluster.wait_state("run", CloneState.RUNNING, PATIENCE)
    allow(cluster, base_id)
    say(f"{EACH} migrations by libvirt alone ...")
    bare = plain(cluster, source, targets, running[0])
    marks = mark(cluster, source)
    say("The drain ...")
    begun = time.monotonic()
    drained = cluster.flask("nodes", "drain", source.name, "--at-once", "4", "--wait", check=False)
    seconds = time.monotonic() - begun
    if drained.returncode:
        say(drained.stdout + drained.stderr)
    moves = finished()
    downtimes = [move.result["downtime_ms"] for move in moves if "downtime_ms" in move.result]
    moved = cluster.clones("run") + cluster.clones("off")
    plain_s = sum(one.seconds for one in bare)
    return {
        "seconds": round(seconds, 2),
        "plain_s": round(plain_s, 2),
        "ratio": round(seconds / plain_s, 2),
        "downtime_ms_p50": percentile(downtimes, 0.5),
        "downtime_ms_p95": percentile(downtimes, 0.95),
        "plain_downtime_ms_p95": percentile([one.downtime_ms for one in bare], 0.95),
        "live": len(downtimes),
        "failures": sum(clone.node.name == source.name for clone in moved),
        "marks_lost": lost(cluster, marks),
    }


def plain(cluster: Cluster, source: LabNode, targets: Sequence[LabNode], like: Clone) -> list[bare_moves.BareMove]:
    """As many migrations as clones run, one after another, to the targets by turns."""
    backing = f"{IMAGES}/{like.version.files[0].file_name}"
    names = bare_moves.make_domains(source, like.name, EACH, backing)
    uris = {node.name: endpoints.libvirt_uri(endpoints.target(cluster.node(node.name))) for node in cluster.lab.nodes}
    found = []
    for number, name in enumerate(names):
        target = targets[number % len(targets)]
        found.append(bare_moves.move(uris[source.name], uris[target.name], source, target, name, backing))
    bare_moves.remove(cluster.lab.nodes, names)
    return found


def mark(cluster: Cluster, source: LabNode) -> dict[int, int]:
    """Write a mark of its own into each clone's disk; returns them by the clones' ids."""
    marks = {}
    for number, clone in enumerate(cluster.clones("run") + cluster.clones("off"), start=1):
        marks[clone.id] = number
        if clone.state == CloneState.RUNNING:
            write_mark(source, clone.name, number)
        else:
            path = f"{IMAGES}/{clone.disk_file('vda')}"
            source.run(["qemu-io", "-c", f"write -P {number:#x} 1M 64k", path])
    return marks


def lost(cluster: Cluster, marks: dict[int, int]) -> int:
    """How many clones do not have their mark any more, where they are now."""
    nodes = {node.name: node for node in cluster.lab.nodes}
    rows = cluster.clones("run") + cluster.clones("off")
    return sum(not has_mark(nodes[row.node.name], f"{IMAGES}/{row.disk_file('vda')}", marks[row.id]) for row in rows)


def finished() -> list[Operation]:
    """The moves."""
    db.session.rollback()
    return list(db.session.scalars(select(Operation).where(Operation.kind.startswith("clones_move"))))


if __name__ == "__main__":
    main()
