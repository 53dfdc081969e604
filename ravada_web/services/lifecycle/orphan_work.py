"""Looking for orphans: domains of ours on a node that no row knows."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from ravada_web.extensions import db
from ravada_web.hypervisor import marks
from ravada_web.hypervisor.marks import Found
from ravada_web.models import BaseVersion, Cause, Clone, Node, Remains, User, name_key
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations.execution import Handle


def look(handle: Handle) -> None:
    """Write down the orphans that stand on the node, and forget those that do not stand there any more."""
    node = db.session.get_one(Node, handle.node_id)
    folders = {pool.path for pool in node.pools}
    with endpoints.connect(node) as connection:
        # Domains before rows: a clone's row is there before its domain, and goes after it.
        seen = marks.find_ours(connection, (), folders)
    with handle.writing() as session:
        uuids = {one.uuid for one in seen}
        rows = session.scalars(select(Remains).where(Remains.node_id == handle.node_id, Remains.cause == Cause.UNKNOWN))
        for row in rows:
            if row.uuid not in uuids:
                session.delete(row)
        session.flush()
        known = set(session.scalars(select(Clone.uuid).where(Clone.uuid.in_(uuids))))
        known |= set(session.scalars(select(Remains.uuid).where(Remains.uuid.in_(uuids))))
        orphans = [one for one in seen if one.uuid not in known]
        session.add_all(_remains(session, node.id, orphans))
        handle.result |= {"orphans": len(orphans)}


def _remains(session: Session, node_id: int, orphans: Sequence[Found]) -> list[Remains]:
    versions = {one.mark.version for one in orphans if one.mark}
    there = set(session.scalars(select(BaseVersion.id).where(BaseVersion.id.in_(versions))))
    names = {name_key(one.mark.owner) for one in orphans if one.mark}
    owners = {name_key(user.name): user.id for user in session.scalars(select(User)) if name_key(user.name) in names}
    return [
        Remains(
            node_id=node_id,
            uuid=one.uuid,
            name=one.name,
            files=list(one.files),
            macs=list(one.macs),
            version_id=one.mark.version if one.mark and one.mark.version in there else None,
            base_name=one.mark.base if one.mark else "",
            owner_id=owners.get(name_key(one.mark.owner)) if one.mark else None,
            owner_name=one.mark.owner if one.mark else "",
            volatile=bool(one.mark and one.mark.volatile),
            cause=Cause.UNKNOWN,
        )
        for one in orphans
    ]
