"""Jobs about nodes."""

from ravada_web.services import inspecting, mending, node_access, node_checks, node_joining, proving, samples, usage
from ravada_web.services.running import run


def scan(operation_id: int, attempt: int) -> None:
    """Read the host key of a host that is to be a node."""
    run(operation_id, attempt, node_joining.scan)


def inspect(operation_id: int, attempt: int) -> None:
    """Check all that a node must have."""
    run(operation_id, attempt, inspecting.inspect)


def install_key(operation_id: int, attempt: int) -> None:
    """Put our key on a node, by a password."""
    run(operation_id, attempt, node_access.install_key)


def mend(operation_id: int, attempt: int) -> None:
    """Run remedies on a node."""
    run(operation_id, attempt, mending.mend)


def prove(operation_id: int, attempt: int) -> None:
    """Run a tiny machine on a node, from its disk to its screen."""
    run(operation_id, attempt, proving.prove)


def count_pools(operation_id: int, attempt: int) -> None:
    """Count who uses a node's pools."""
    run(operation_id, attempt, usage.count)


def thin() -> None:
    """Make what nodes were like coarser as it ages."""
    samples.thin()


def count(*node_ids: int) -> None:
    """Count who uses the pools of these nodes."""
    usage.count_nodes(node_ids)


def check(*node_ids: int) -> None:
    """Ask a batch of nodes how they are."""
    node_checks.check(node_ids)
