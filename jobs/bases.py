"""Jobs about bases and their replicas."""

from ravada_web.services.bases import import_work, inspection, replica_removal, replica_work, replicas
from ravada_web.services.bases import work as base_work
from ravada_web.services.operations.execution import run


def inspect(operation_id: int, attempt: int) -> None:
    """List what would become of a domain, or files, of the master."""
    run(operation_id, attempt, inspection.inspect)


def import_base(operation_id: int, attempt: int) -> None:
    """Read a domain, or files, of the master into a base."""
    run(operation_id, attempt, import_work.import_base)


def prepare(operation_id: int, attempt: int) -> None:
    """Make a version of a base's disks."""
    run(operation_id, attempt, base_work.prepare)


def copy_replica(operation_id: int, attempt: int) -> None:
    """Copy a version's disks to a node."""
    run(operation_id, attempt, replica_work.copy)
    replicas.settle_all()


def remove_replica(operation_id: int, attempt: int) -> None:
    """Delete a version's disks from a node."""
    run(operation_id, attempt, replica_removal.remove)
    replicas.settle_all()


def remove(operation_id: int, attempt: int) -> None:
    """Delete a base, its replicas first."""
    run(operation_id, attempt, replica_removal.remove_base)


def settle() -> None:
    """Have done what is wanted of replicas by now."""
    replicas.settle_all()
