"""Jobs about nodes."""

from ravada_web.services import node_checks, node_joining
from ravada_web.services.running import run


def scan(operation_id: int, attempt: int) -> None:
    """Read the host key of a host that is to be a node."""
    run(operation_id, attempt, node_joining.scan)


def join(operation_id: int, attempt: int) -> None:
    """Prove access to a host and write its row."""
    run(operation_id, attempt, node_joining.join)


def check(*node_ids: int) -> None:
    """Ask a batch of nodes how they are."""
    node_checks.check(node_ids)
