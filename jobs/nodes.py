"""Jobs about nodes."""

from ravada_web.services.clones import return_work
from ravada_web.services.joining import host_keys, inspection, key_install, remedies, verification
from ravada_web.services.lifecycle import (
    exports,
    fencing,
    giving_up_work,
    host_power_work,
    orphan_work,
    replacing_work,
    rest_work,
    waking_work,
)
from ravada_web.services.monitoring import cluster_alert, probe
from ravada_web.services.nodes import history as node_history
from ravada_web.services.operations.execution import run
from ravada_web.services.placements import reserve
from ravada_web.services.storage import leftovers, usage


def scan(operation_id: int, attempt: int) -> None:
    """Read the host key of a host that is to be a node."""
    run(operation_id, attempt, host_keys.scan)


def inspect(operation_id: int, attempt: int) -> None:
    """Run all checks of a node."""
    run(operation_id, attempt, inspection.inspect)


def install_key(operation_id: int, attempt: int) -> None:
    """Install our key on a node, with a password."""
    run(operation_id, attempt, key_install.install_key)


def fix(operation_id: int, attempt: int) -> None:
    """Run remedies on a node."""
    run(operation_id, attempt, remedies.fix)


def verify(operation_id: int, attempt: int) -> None:
    """Run a test VM on a node, from its disk to its screen."""
    run(operation_id, attempt, verification.verify)


def count_pools(operation_id: int, attempt: int) -> None:
    """Count what uses a node's pools."""
    run(operation_id, attempt, usage.count)


def give_up(operation_id: int, attempt: int) -> None:
    """End what was given up with a node."""
    run(operation_id, attempt, giving_up_work.give_up)


def replace(operation_id: int, attempt: int) -> None:
    """Settle what stood on a node whose place another host took, then check and test that."""
    run(operation_id, attempt, replacing_work.replace)


def look_for_orphans(operation_id: int, attempt: int) -> None:
    """Look for domains of ours on a node that no row knows."""
    run(operation_id, attempt, orphan_work.look)


def export(operation_id: int, attempt: int) -> None:
    """Export the disks of what is left on a node."""
    run(operation_id, attempt, exports.export)


def reconcile(operation_id: int, attempt: int) -> None:
    """End and remove what must not live again on a node that has returned."""
    run(operation_id, attempt, return_work.reconcile)


def test_fence(operation_id: int, attempt: int) -> None:
    """Ask a node's fence agent whether the node is on."""
    run(operation_id, attempt, fencing.test)


def turn_off(operation_id: int, attempt: int) -> None:
    """Turn a node off by its fence agent."""
    run(operation_id, attempt, fencing.turn_off)


def begin_power(operation_id: int, attempt: int) -> None:
    """Begin to shut a host down, or to restart it."""
    run(operation_id, attempt, host_power_work.begin)


def watch_power(*operation_ids: int) -> None:
    """See shutdowns and restarts of hosts through."""
    host_power_work.watch(operation_ids)


def wake(operation_id: int, attempt: int) -> None:
    """Wake a host."""
    run(operation_id, attempt, waking_work.begin)


def watch_wake(*operation_ids: int) -> None:
    """See hosts that were woken through until they are up."""
    waking_work.watch(operation_ids)


def thin() -> None:
    """Thin out old samples."""
    node_history.thin()


def count(*node_ids: int) -> None:
    """Count what uses the pools of these nodes, and look for orphans there."""
    usage.count_nodes(node_ids)
    orphan_work.look_at_nodes(node_ids)


def sweep(*node_ids: int) -> None:
    """Delete what ended operations have left in the pools of these nodes."""
    leftovers.sweep_nodes(node_ids)


def check(*node_ids: int) -> None:
    """Check a batch of nodes."""
    probe.check(node_ids)


def look(*node_ids: int) -> None:
    """Check a batch of nodes, with all that they offer: somebody waits for it."""
    probe.check(node_ids, with_facts=True)


def count_reserve() -> None:
    """Count whether the cluster survives the loss of one node, and alert where it should."""
    reserve.count()
    cluster_alert.update()


def look_at_rests() -> None:
    """Put a node to rest, or wake those that are needed, where that is wished."""
    rest_work.look()


def go_on_with_rests(*node_ids: int) -> None:
    """Go on with the rests of nodes."""
    rest_work.go_on(node_ids)
