"""What speaks against putting one node to rest, beside the rule of all: its desktops, its bases, others' machines."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from ravada_web.messages import NOTHING, Message, message, sentences
from ravada_web.models import AllowedNode, Base, BaseVersion, MoveWay, Node, Replica, ReplicaState, User
from ravada_web.placement.resting import LEAST_AWAKE
from ravada_web.services.lifecycle import draining
from ravada_web.services.lifecycle.resting import Survey

# Nobody is interrupted for it, nothing is deleted, and no copy of a base is made.
WISHES = draining.Wishes(minutes=0, at_deadline=draining.LEAVE, brings=False, throws_away=False)
MOVES = (MoveWay.LIVE, MoveWay.COLD)
NAMED = 3


def veto(session: Session, actor: User, node: Node, seen: Survey) -> Message:
    """Why the node cannot rest now, though its room is not needed; an empty message where it can. Hold the placement
    lock to act by it."""
    others = {host.id for host in seen.hosts if host.awake and host.id != node.id}
    if refused := draining.refusals([node]):
        return sentences(*refused)
    if node.other_running:
        return message("resting.others_run", names=node.other_running[:NAMED])
    if names := _bases_short_of_copies(session, node.id, others):
        return message("resting.bases_need_it", names=names[:NAMED])
    found = draining.preview(actor, [node], WISHES)
    stay = [row for row in found.rows if row.way not in MOVES]
    if stay:
        return message("resting.desktops_stay", count=len(stay), name=stay[0].clone.name, why=stay[0].reason)
    return found.room if found.is_short else NOTHING


def _bases_short_of_copies(session: Session, node_id: int, others: Collection[int]) -> list[str]:
    """The names of the bases that too few of the others could run: the loss of one of those must leave another."""
    query = (
        select(Base.name, BaseVersion.id, AllowedNode.node_id)
        .join(BaseVersion, BaseVersion.base_id == Base.id)
        .join(Replica, Replica.version_id == BaseVersion.id)
        .join(AllowedNode, (AllowedNode.base_id == Base.id) & (AllowedNode.node_id == Replica.node_id))
        .where(Replica.state == ReplicaState.READY, BaseVersion.prepared_at.is_not(None))
        .order_by(BaseVersion.number)
    )
    copies: dict[str, dict[int, set[int]]] = {}
    for name, version_id, where in session.execute(query):
        copies.setdefault(name, {}).setdefault(version_id, set()).add(where)
    # Of each base the newest version that is ready somewhere.
    newest = {name: versions[max(versions)] for name, versions in copies.items()}
    return sorted(name for name, nodes in newest.items() if node_id in nodes and len(nodes & {*others}) < LEAST_AWAKE)
