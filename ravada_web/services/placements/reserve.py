"""Room for the loss of one node: the policy, what the rows say of it, and the count that pages show."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Row, and_, func, or_, select
from sqlalchemy.orm import Session

from ravada_web.extensions import db
from ravada_web.messages import NOTHING, Message, message
from ravada_web.models import (
    USING_MEMORY,
    AllowedNode,
    Base,
    BaseVersion,
    Clone,
    CloneCopy,
    CloneState,
    Cluster,
    Node,
    Observed,
    Replica,
    ReplicaState,
    RestStep,
    User,
    now,
)
from ravada_web.needs import lacking
from ravada_web.placement import reserve
from ravada_web.placement.filters import serves_new
from ravada_web.placement.reserve import Running, Shortfall
from ravada_web.placement.types import NodeState
from ravada_web.services.audit import events
from ravada_web.services.nodes.offers import needs_of
from ravada_web.services.permissions import rights, scopes
from ravada_web.services.placements import loads
from ravada_web.services.transaction import hold_lock, transaction

# The cluster's one row.
ONLY = 1


def policy() -> Cluster:
    """What is decided, and what was counted last."""
    return db.session.get_one(Cluster, ONLY)


def policy_for(viewer: User) -> Cluster | None:
    """The same for who may know of all nodes; None for others, and where there is only one."""
    if not rights.can(viewer, "nodes.see") or scopes.of(viewer) is not None:
        return None
    return policy() if _several_nodes() else None


def set_kept(actor: User, kept: bool) -> None:
    """Keep room for the loss of one node from now on, or no more. Nothing that runs is stopped for it."""
    rights.require(actor, "nodes.change")
    with transaction() as session:
        hold_lock(session, "placement")
        row = session.get_one(Cluster, ONLY, with_for_update=True, populate_existing=True)
        if row.keeps_reserve != kept:
            row.keeps_reserve = kept
            events.record(session, actor, "keep_reserve" if kept else "end_reserve", row)
    count()


def note_lack(rejected: Collection[int]) -> None:
    """Keep that a request was refused which one of these nodes might have had room for, if it did not rest or was not
    about to: one is woken for the next request."""
    resting = select(Node.id).where(Node.rest_step != RestStep.NONE, Node.id.in_(rejected))
    if db.session.scalar(resting.limit(1)) is not None:
        with transaction() as session:
            session.get_one(Cluster, ONLY, with_for_update=True, populate_existing=True).lack_at = now()


def due() -> list[Sequence[int]]:
    """One job, without arguments, where there are several nodes."""
    return [()] if _several_nodes() else []


def _several_nodes() -> bool:
    return len(db.session.scalars(select(Node.id).limit(2)).all()) > 1


def count() -> None:
    """Count what is missing, for pages and alerts; nothing is written where it is as before."""
    seen, _onto = _seen(db.session(), ())
    short = reserve.shortfalls(seen)
    missing, news = short[0].missing_mib if short else 0, _news(seen, short)
    row = policy()
    if (row.missing_mib, row.reserve_news) == (missing, news):
        return
    with transaction() as session:
        row = session.get_one(Cluster, ONLY, with_for_update=True, populate_existing=True)
        row.missing_mib, row.reserve_news = missing, news


def _news(seen: reserve.Cluster, short: Sequence[Shortfall]) -> Message:
    if not any(reserve.elsewhere(each.onto, each.node_id) for each in seen.running):
        return NOTHING
    if not short:
        return message("nodes.reserve_whole")
    # What has happened comes before what may.
    failed = set(db.session.scalars(select(Node.id).where(Node.seen == Observed.DOWN)))
    first = min(short, key=lambda each: (each.node_id not in failed, -each.missing_mib))
    node = seen.names[first.node_id]
    if first.node_id in failed:
        return message("nodes.reserve_lost", node=node, missing_mib=first.missing_mib)
    return message("nodes.reserve_short", count=len(short), node=node, missing_mib=first.missing_mib)


@dataclass(frozen=True)
class Kept:
    """The cluster that has to survive the loss of any one node; and by base, the nodes on which its volatile clones
    would be made again."""

    cluster: reserve.Cluster
    onto: Mapping[int, frozenset[int]]

    def onto_of(self, base: Base, volatile: bool) -> frozenset[int]:
        """The nodes on which a clone of the base would be made again if its own died."""
        return self.onto[base.id] if volatile and base.remakes else frozenset()


def kept(session: Session, base_ids: Collection[int]) -> Kept | None:
    """What a placement or start of clones of these bases has to leave room for; None where none is kept. Hold the
    placement lock to decide by it."""
    row = session.get_one(Cluster, ONLY, populate_existing=True)
    return Kept(*_seen(session, base_ids)) if row.keeps_reserve else None


def cluster(session: Session) -> reserve.Cluster:
    """What has to survive the loss of any one node, whether room is kept for it or not."""
    return _seen(session, ())[0]


def _seen(session: Session, base_ids: Collection[int]) -> tuple[reserve.Cluster, Mapping[int, frozenset[int]]]:
    states = loads.all_states(session)
    able = {state.id: state for state in states if serves_new(state)}
    names = {state.id: state.name for state in states}
    free = {state.id: (state.memory_free_mib or 0) - state.memory_reserve_mib for state in able.values()}
    rows = _volatile(session)
    onto = _onto(session, able, {*base_ids, *(row[0] for row in rows)})
    volatile = [Running(node_id, memory, number, onto[base_id]) for base_id, node_id, memory, number in rows]
    return reserve.Cluster(names, free, [*volatile, *_restorable(session, able)]), onto


def _onto(session: Session, able: Mapping[int, NodeState], base_ids: Collection[int]) -> dict[int, frozenset[int]]:
    """For each of these bases the nodes that could run a new clone of it, room aside."""
    newest = select(func.max(BaseVersion.number))
    newest = newest.where(BaseVersion.base_id == AllowedNode.base_id, BaseVersion.prepared_at.is_not(None))
    query = (
        select(AllowedNode.base_id, AllowedNode.node_id)
        .join(BaseVersion, BaseVersion.base_id == AllowedNode.base_id)
        .join(Replica, and_(Replica.version_id == BaseVersion.id, Replica.node_id == AllowedNode.node_id))
        .where(AllowedNode.base_id.in_(base_ids), Replica.state == ReplicaState.READY)
        .where(BaseVersion.number == newest.correlate(AllowedNode).scalar_subquery())
    )
    found: dict[int, set[int]] = {base_id: set() for base_id in base_ids}
    for base_id, node_id in session.execute(query):
        found[base_id].add(node_id)
    needs = {base.id: needs_of(base) for base in session.scalars(select(Base).where(Base.id.in_(base_ids)))}
    return {
        base_id: frozenset(id_ for id_ in ids if id_ in able and not lacking(needs[base_id], able[id_].offers))
        for base_id, ids in found.items()
    }


def _volatile(session: Session) -> Sequence[Row[int, int, int, int]]:
    """What is made again by itself, as base, node, memory and count: what runs or is to run, and what waits for that
    already."""
    waits = and_(Clone.state == CloneState.UNREACHABLE, Clone.state_before.in_(USING_MEMORY))
    query = (
        select(Clone.base_id, Clone.node_id, Clone.memory_mib, func.count())
        .join(Base, Base.id == Clone.base_id)
        .where(Clone.volatile, Base.remakes, or_(loads.WILL_RUN, waits))
        .group_by(Clone.base_id, Clone.node_id, Clone.memory_mib)
    )
    return session.execute(query).all()


def _restorable(session: Session, able: Collection[int]) -> list[Running]:
    """Persistent ones of which there are copies on other nodes that could run them."""
    query = select(Clone.id, Clone.node_id, Clone.memory_mib, CloneCopy.node_id)
    query = query.join(CloneCopy, CloneCopy.clone_id == Clone.id).where(~Clone.volatile, loads.WILL_RUN)
    copies: dict[tuple[int, int, int], set[int]] = defaultdict(set)
    for clone_id, node_id, memory, copy_id in session.execute(query):
        if copy_id in able:
            copies[clone_id, node_id, memory].add(copy_id)
    return [Running(node_id, memory, 1, frozenset(onto)) for (_id, node_id, memory), onto in copies.items()]
