"""Deleting a batch of clones from its node."""

from collections.abc import Sequence

from sqlalchemy import delete as delete_rows

from ravada_web.hypervisor import domains
from ravada_web.models import Clone, CloneState, Node
from ravada_web.remote import files
from ravada_web.services.bases import replicas
from ravada_web.services.clones.batch import claimed_clones, replica_directory
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations.execution import Handle
from ravada_web.services.storage import pools
from ravada_web.services.transaction import transaction


def delete(handle: Handle) -> None:
    """Remove the batch's domains, then their files, then their rows: what is left half-way can be done again."""
    batch = claimed_clones(handle, CloneState.DELETING)
    if not batch:
        return
    node, node_id = batch[0].node, batch[0].node_id
    where, paths = endpoints.target(node), _files(batch, node)
    ids, uuids = [clone.id for clone in batch], [clone.uuid for clone in batch]
    with endpoints.connect(node) as connection:
        handle.check()
        for clone_uuid in uuids:
            domains.force_off(connection, clone_uuid)
            domains.undefine(connection, clone_uuid)
    handle.check()
    files.remove_files(endpoints.workspace(), where, paths)
    with transaction() as session:
        session.execute(delete_rows(Clone).where(Clone.id.in_(ids)))
        replicas.settle(session, node_id=node_id)  # the last one's copy of the base may be wanted no more


def _files(batch: Sequence[Clone], node: Node) -> list[str]:
    directories = {version.id: replica_directory(version, node) for version in {clone.version for clone in batch}}
    return [
        pools.in_pool(directories[clone.version_id], clone.own_file(file))
        for clone in batch
        for file in clone.version.files
    ]
