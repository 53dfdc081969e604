"""Deleting a batch of clones from its node."""

from collections.abc import Mapping, Sequence

from sqlalchemy import delete as delete_rows

from ravada_web.hypervisor import domains
from ravada_web.hypervisor.errors import HypervisorUnreachable
from ravada_web.models import Cause, Clone, CloneState, Node
from ravada_web.remote import files
from ravada_web.remote.errors import CommandFailed, DeadlineExceeded, HostKeyChanged, KeyRefused, NodeUnreachable
from ravada_web.remote.target import Target
from ravada_web.services.bases import replicas
from ravada_web.services.clones import remains
from ravada_web.services.clones.batch import Failures, claimed_clones, replica_directory
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations.execution import Handle
from ravada_web.services.storage import pools

# What a node that does not answer raises.
SILENT = (HypervisorUnreachable, NodeUnreachable, HostKeyChanged, KeyRefused, DeadlineExceeded)


def delete(handle: Handle) -> None:
    """Delete the batch. Where its node has gone away meanwhile the rows go all the same, and what stands there is
    deleted once it answers."""
    try:
        _delete(handle)
    except SILENT:
        with handle.writing() as session:
            remains.end(session, claimed_clones(handle, CloneState.DELETING), Cause.DELETED)


def _delete(handle: Handle) -> None:
    """Remove the batch's domains, then their files, then their rows: what is left half-way can be done again. One that
    cannot be deleted keeps no other from it."""
    batch = claimed_clones(handle, CloneState.DELETING)
    if not batch:
        return
    node, node_id = batch[0].node, batch[0].node_id
    failures = Failures({clone.id: clone.name for clone in batch})
    where, paths = endpoints.target(node), _files(batch, node, failures)
    uuids = {clone.id: clone.uuid for clone in batch}
    with endpoints.connect(node) as connection:
        handle.check()
        for clone_id in [clone_id for clone_id in uuids if clone_id not in failures]:
            with failures.guard(clone_id):
                domains.force_off(connection, uuids[clone_id])
                domains.undefine(connection, uuids[clone_id])
    handle.check()
    _remove_files(handle, where, paths, failures)
    with handle.writing() as session:
        gone = [clone_id for clone_id in uuids if clone_id not in failures]
        ours = (Clone.operation_id == handle.operation_id, Clone.state == CloneState.DELETING)
        session.execute(delete_rows(Clone).where(Clone.id.in_(gone), *ours))
        replicas.settle(session, node_id=node_id)  # the last one's copy of the base may be wanted no more
    failures.write(handle)


def _files(batch: Sequence[Clone], node: Node, failures: Failures) -> dict[int, list[str]]:
    """The files of each clone, by its id."""
    paths = {}
    for clone in batch:
        with failures.guard(clone.id):
            directory = replica_directory(clone.version, node)
            paths[clone.id] = [pools.in_pool(directory, clone.own_file(file)) for file in clone.version.files]
    return paths


def _remove_files(handle: Handle, where: Target, paths: Mapping[int, Sequence[str]], failures: Failures) -> None:
    """Remove the files at once; where one cannot go, each clone's alone."""
    left = {clone_id: of_one for clone_id, of_one in paths.items() if clone_id not in failures}
    try:
        files.remove_files(endpoints.workspace(), where, [path for of_one in left.values() for path in of_one])
    except CommandFailed:
        for clone_id, of_one in left.items():
            handle.check()
            with failures.guard(clone_id):
                files.remove_files(endpoints.workspace(), where, of_one)
