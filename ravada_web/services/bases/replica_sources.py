"""Where a replica is copied from: the nodes that have a whole one, and why there is none."""

from dataclasses import dataclass

from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.guard import guarded
from ravada_web.messages import Message, message
from ravada_web.models import Replica, ReplicaState
from ravada_web.remote.target import Target
from ravada_web.services.bases.replica_plan import File, Plan, require_reachable
from ravada_web.services.nodes import endpoints


@dataclass(frozen=True)
class Source:
    """A replica on another node that says it is ready."""

    replica_id: int
    node_name: str
    where: Target
    directory: str
    stamps: dict[str, str]


def sources(plan: Plan) -> list[Source]:
    """The ready replicas of the same version on other nodes that can be reached, the one that it was made on first."""
    version = select(Replica.version_id).where(Replica.id == plan.replica_id).scalar_subquery()
    query = select(Replica).where(
        Replica.version_id == version, Replica.id != plan.replica_id, Replica.state == ReplicaState.READY
    )
    rows = [row for row in db.session.scalars(query) if row.node.is_reachable]
    rows.sort(key=lambda row: (row.node_id != row.version.base.node_id, row.id))
    sources: list[Source] = []
    for row in rows:
        with guarded(_no_source_there, node=row.node.name):
            sources.append(Source(row.id, row.node.name, endpoints.target(row.node), row.directory, row.stamps))
    return sources


def _no_source_there(_reason: Message) -> None:
    """A node that cannot be reached at its address is no source; its own state says why."""


def no_source(plan: Plan, lacking: File) -> Message:
    """Why there is nothing to copy from: the original is away, in work, or damaged, with what to do then."""
    replica = db.session.get_one(Replica, plan.replica_id)
    base = replica.version.base
    query = select(Replica).where(Replica.version_id == replica.version_id, Replica.node_id == base.node_id)
    original = db.session.scalar(query)
    if original is None:
        return message("bases.not_ready", base=base.name)
    if original.id == replica.id:
        why = message("bases.file_damaged", file=lacking.name, node=base.node.name)
    elif original.state == ReplicaState.READY:
        require_reachable(original.node)
        return message("bases.original_in_work", base=base.name, node=original.node.name)
    elif original.state == ReplicaState.VERIFYING or not original.reason:
        return message("bases.original_in_work", base=base.name, node=original.node.name)
    else:
        why = original.reason
    if why.kind == "bases.original_changed":
        return why
    return message("bases.original_changed", base=base.name, node=base.node.name, why=why)
