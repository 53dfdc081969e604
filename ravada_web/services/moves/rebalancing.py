"""Rebalancing: from rows to a plan that makes the load of the nodes even, and that plan begun. The rule is in
ravada_web.placement.rebalancing; what was begun is done by `plan_work`."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, lazyload

from ravada_web.config import settings
from ravada_web.errors import Conflict, InvalidInput
from ravada_web.extensions import db
from ravada_web.messages import Message, message
from ravada_web.models import (
    AT_WORK,
    UNSETTLED,
    Base,
    Cause,
    Clone,
    CloneCopy,
    CloneState,
    Cluster,
    Decision,
    MovePlan,
    Node,
    PlanKind,
    PlannedMove,
    Remains,
    User,
    now,
)
from ravada_web.placement import rebalancing
from ravada_web.placement.balance import Kind, Load
from ravada_web.placement.moving import Way
from ravada_web.placement.rebalancing import Chosen, Rebalancing, Standing
from ravada_web.placement.types import Reason
from ravada_web.placement.weighers import DEFAULT_WEIGHTS
from ravada_web.services.audit import events
from ravada_web.services.moves import plans
from ravada_web.services.moves.verdicts import verdicts
from ravada_web.services.operations import outbox
from ravada_web.services.permissions import rights
from ravada_web.services.placements import loads, reserve
from ravada_web.services.transaction import hold_lock, transaction

# A plan has so many moves at most; the next one goes on from there.
MOST = 500
MOST_AT_ONCE = 50


@dataclass(frozen=True)
class Proposed:
    """A move of a plan that is only shown: what moves, where to, why, and which share of the imbalance that takes."""

    clone: Clone
    source: str
    target: str
    target_id: int
    live: bool
    reason: Message
    gain: float
    choice: str


@dataclass(frozen=True)
class Picture:
    """A node's load before and after."""

    node_id: int
    name: str
    before: Load
    after: Load

    @property
    def changes(self) -> bool:
        """Whether the plan makes a difference to it."""
        return self.before != self.after


@dataclass(frozen=True)
class Proposal:
    """A plan that is only shown: its moves, the imbalance before and after all of them, and each node's load."""

    moves: Sequence[Proposed]
    before: float
    after: float
    nodes: Sequence[Picture]

    @property
    def gain(self) -> float:
        """Which share of the imbalance all moves take away."""
        return sum(move.gain for move in self.moves)


def propose(actor: User) -> Proposal:
    """What would make the load of the nodes more even now. Raises NotAllowed."""
    rights.require(actor, "nodes.change")
    return _Survey(db.session()).proposal()


def under_way() -> MovePlan | None:
    """The rebalance that is being done."""
    query = select(MovePlan).where(MovePlan.kind == PlanKind.REBALANCE, MovePlan.state.in_(AT_WORK))
    return db.session.scalar(query.order_by(MovePlan.id).limit(1))


def last() -> MovePlan | None:
    """The rebalance that was begun last."""
    query = select(MovePlan).where(MovePlan.kind == PlanKind.REBALANCE).order_by(MovePlan.id.desc())
    return db.session.scalar(query.limit(1))


def begin(actor: User, choices: Collection[str], at_once: int) -> MovePlan:
    """Begin these moves of a proposal (each one's `choice`), so many at once, in the order of their gain.

    Raises NotAllowed, InvalidInput where none is chosen, or some are no longer possible or of use: the cluster has
    changed, and there is a new plan; and Conflict while another rebalance is under way.
    """
    rights.require(actor, "nodes.change")
    outbox.require_queue()
    chosen = [_chosen(choice) for choice in dict.fromkeys(choices)]
    if not 1 <= at_once <= MOST_AT_ONCE:
        raise InvalidInput({"at_once": message("rebalancing.range", least=1, most=MOST_AT_ONCE)})
    if not chosen:
        raise InvalidInput({"move": message("rebalancing.nothing")})
    with transaction() as session:
        hold_lock(session, "placement")
        if under_way():
            raise Conflict(message("rebalancing.under_way"))
        confirmed = _Survey(session).proposal([each for each in chosen if each])
        if stale := len(chosen) - len(confirmed.moves):
            raise InvalidInput({"move": message("rebalancing.stale", count=stale)})
        return begin_within(session, actor, confirmed, at_once, message("rebalancing.by_hand", name=actor.name))


def begin_within(session: Session, actor: User, proposal: Proposal, at_once: int, why: Message) -> MovePlan:
    """Begin all moves of a proposal in the present transaction, which holds the lock of placement."""
    plan = plans.begin(
        session,
        PlanKind.REBALANCE,
        actor,
        [plans.NewMove(move.clone, move.target_id, move.gain, move.reason) for move in proposal.moves],
        choices={"live": True, "shuts_down": False, "at_once": at_once, "brings": False},
        picture={
            "why": why.to_json(),
            "imbalance": [proposal.before, proposal.after],
            "reasons": {move.clone.id: move.reason.to_json() for move in proposal.moves},
        },
    )
    row = session.get_one(Cluster, reserve.ONLY)
    events.record(session, actor, "rebalance", row, message("rebalancing.begun", count=len(proposal.moves), why=why))
    return plan


def proposal_within(session: Session) -> Proposal:
    """What would make the load more even now; hold the lock of placement to decide by it."""
    return _Survey(session).proposal()


def _chosen(choice: str) -> Chosen | None:
    """The move that a `choice` stands for; None for what is none."""
    parts = choice.split("-")
    if len(parts) != 4 or not all(part.isdecimal() and len(part) < 16 for part in parts):
        return None
    clone_id, source_id, target_id, live = map(int, parts)
    return Chosen(clone_id, source_id, target_id, bool(live))


class _Survey:
    """All that a plan rests on, in a handful of queries."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._states = loads.all_states(session)
        self._names = {state.id: state.name for state in self._states}
        self._rest = timedelta(hours=session.get_one(Cluster, reserve.ONLY).rebalance_rest_hours)
        self._bases = session.scalars(select(Base)).all()  # the clones find theirs without a query each
        query = select(Clone).where(~Clone.lost).options(lazyload(Clone.nics))
        self._clones = {clone.id: clone for clone in session.scalars(query)}
        self._verdicts = verdicts(session, list(self._clones.values()), session.scalars(select(Node)).all())
        self._kept = reserve.kept(session, {clone.base_id for clone in self._clones.values()})
        self._kinds: dict[tuple[object, ...], Kind] = {}
        self._numbers: dict[tuple[object, ...], int] = {}
        # Of each kind, clones of two nodes: no verdict says where it can move of the node that it is on.
        self._alike: dict[Kind, dict[int, int]] = defaultdict(dict)
        self._standing = self._stand()

    def proposal(self, chosen: Sequence[Chosen] | None = None) -> Proposal:
        """The best plan, or what is left of the chosen moves."""
        cluster = self._kept.cluster if self._kept else None
        weights = {**DEFAULT_WEIGHTS, **settings().weights}
        if chosen is None:
            found = rebalancing.rebalance(self._states, self._standing, self._may_take, weights, cluster, MOST)
        else:
            found = rebalancing.confirmed(self._states, self._standing, self._may_take, chosen, weights, cluster)
        return self._proposal(found)

    def _proposal(self, found: Rebalancing) -> Proposal:
        moves = [
            Proposed(
                clone=self._clones[move.clone_id],
                source=self._names[move.source_id],
                target=self._names[move.target_id],
                target_id=move.target_id,
                live=move.live,
                reason=_reason(move.reason, self._names[move.source_id], self._names[move.target_id]),
                gain=move.gain,
                choice=f"{move.clone_id}-{move.source_id}-{move.target_id}-{move.live:d}",
            )
            for move in found.moves
        ]
        pictures = [Picture(id_, self._names[id_], *load) for id_, load in found.loads.items()]
        return Proposal(moves, *found.imbalance, sorted(pictures, key=lambda one: one.name))

    def _stand(self) -> list[Standing]:
        barred, arriving = self._left()
        placed, copies, planned = self._placed(), self._copies(), self._planned()
        standing = []
        for clone in self._clones.values():
            kind = self._kind(clone, barred.get(clone.uuid, frozenset()), copies.get(clone.id, frozenset()))
            rests = clone.state not in (CloneState.STOPPED, CloneState.RUNNING) or clone.id in planned
            held = rests or self._moved_lately(clone, placed)
            where = arriving.get(clone.uuid) or planned.get(clone.id) or clone.node_id
            standing.append(Standing(clone.id, where, kind, held))
        return standing

    def _kind(self, clone: Clone, barred: frozenset[int], copies: frozenset[int]) -> Kind:
        about = (clone.version_id, clone.node_id, clone.memory_mib, clone.state_in_use, clone.volatile)
        key = (*about, clone.virt_type, clone.machine, clone.processor, barred, copies)
        kind = self._kinds.get(key)
        if kind is None:
            kind = self._kinds[key] = self._kind_of(clone, barred, copies)
            nodes = self._alike[kind]
            if len(nodes) < 2:
                nodes.setdefault(clone.node_id, clone.id)
        return kind

    def _kind_of(self, clone: Clone, barred: frozenset[int], copies: frozenset[int]) -> Kind:
        traits = replace(self._verdicts.traits_of(clone), node_id=0)
        return Kind(
            # A number for all that decides on its moves: kinds are compared and hashed all the time.
            base=self._numbers.setdefault((clone.version_id, traits), len(self._numbers)),
            memory_mib=traits.memory_mib,
            disk_mib=traits.disk_mib,
            vcpus=traits.vcpus,
            running=traits.running,
            volatile=clone.volatile,
            onto=copies or (self._kept.onto_of(clone.base, clone.volatile) if self._kept else frozenset()),
            barred=barred,
        )

    def _may_take(self, kind: Kind, node_id: int) -> bool:
        asked = next((clone_id for other, clone_id in self._alike[kind].items() if other != node_id), None)
        # Where all of a kind stand on one node, nobody asks about that one.
        return asked is not None and self._verdicts[asked, node_id].way == (Way.LIVE if kind.running else Way.COLD)

    def _left(self) -> tuple[Mapping[str, frozenset[int]], Mapping[str, int]]:
        """By the clones' UUIDs, the nodes where something is left of them, and those that they are on the way to."""
        left: dict[str, set[int]] = defaultdict(set)
        arriving: dict[str, int] = {}
        query = select(Remains.uuid, Remains.node_id, Remains.cause).where(Remains.uuid.is_not(None))
        for found, node_id, cause in self._session.execute(query):
            uuid = str(found)
            left[uuid].add(node_id)
            if cause == Cause.ARRIVING:
                arriving[uuid] = node_id
        return {uuid: frozenset(ids) for uuid, ids in left.items()}, arriving

    def _placed(self) -> Mapping[int, datetime]:
        """When those decisions were made that are younger than clones rest."""
        query = select(Decision.id, Decision.made_at).where(Decision.made_at > now() - self._rest)
        return dict(self._session.execute(query).all())

    def _moved_lately(self, clone: Clone, placed: Mapping[int, datetime]) -> bool:
        """Whether it was last moved, and not made, within its rest."""
        moment = placed.get(clone.decision_id or 0)
        return moment is not None and moment > clone.created_at

    def _copies(self) -> Mapping[int, frozenset[int]]:
        """Where those persistent clones would be made again that have copies, as the kept room counts them."""
        found: dict[int, set[int]] = defaultdict(set)
        if self._kept:
            able = self._kept.cluster.free_mib.keys()
            for clone_id, node_id in self._session.execute(select(CloneCopy.clone_id, CloneCopy.node_id)):
                found[clone_id] |= {node_id} & able
        return {clone_id: frozenset(ids) for clone_id, ids in found.items()}

    def _planned(self) -> Mapping[int, int | None]:
        """The clones that a plan under way is about, by their ids, and where to."""
        about = select(PlannedMove.clone_id, PlannedMove.to_id).join(MovePlan).where(MovePlan.state.in_(AT_WORK))
        found = self._session.execute(about.where(PlannedMove.state.in_(UNSETTLED)))
        return {clone_id: to_id for clone_id, to_id in found if clone_id is not None}


def _reason(reason: Reason, source: str, target: str) -> Message:
    here, there = (int(str(reason.figures[name])) for name in ("here", "there"))
    if reason.code == "evens_memory":
        return message("rebalancing.evens_memory", source=source, target=target, here_percent=here, there_percent=there)
    return message("rebalancing.evens_clones", source=source, target=target, count=here, there=there)
