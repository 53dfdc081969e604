"""From a plan's rows to what `placement.draining` decides on, and back to words."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session, joinedload
from sqlalchemy.orm.strategy_options import _AbstractLoad

from ravada_web.config import settings
from ravada_web.messages import NOTHING, Message, message
from ravada_web.messages.clones import state_message
from ravada_web.messages.placement import blocked
from ravada_web.messages.plans import busy
from ravada_web.models import Clone, CloneState, Console, MoveWay, Node, PlannedMove, Remains, now
from ravada_web.placement.draining import Choices, Guest, Outcome, decide
from ravada_web.placement.moving import CloneTraits
from ravada_web.placement.types import NodeState, Reason
from ravada_web.placement.weighers import DEFAULT_WEIGHTS
from ravada_web.services.moves.verdicts import Verdicts, verdicts
from ravada_web.services.nodes.platforms import hosts_among
from ravada_web.services.placements.loads import NodeViews

# Somebody works with a volatile desktop whose console is open, or was so long ago, or that was started so long ago; one
# who uses a viewer of their own is not seen, so where that is possible nobody is idle.
IDLE = timedelta(minutes=5)
# One that has failed to move while it runs so often does so while it is off.
LIVE_TRIES = 2
OFF, ON = (CloneState.STOPPED,), (CloneState.RUNNING, CloneState.PAUSED)


@dataclass(frozen=True)
class Leaver:
    """A clone of a plan: where it was to go, that it `starts` there, whether it may try to go `live`, where it cannot
    go, and where alone it may."""

    clone: Clone
    planned: int | None = None
    starts: bool = False
    live: bool = True
    refused: frozenset[int] = frozenset()
    only: frozenset[int] | None = None


@dataclass(frozen=True)
class Decided:
    """What became of a plan's clones, and what it was decided on."""

    guests: Sequence[Guest]
    outcomes: Sequence[Outcome]


def shown() -> Sequence[_AbstractLoad]:
    """What has to be loaded with clones to decide on them, without a query for each."""
    return (joinedload(Clone.base), joinedload(Clone.version), joinedload(Clone.node))


def decide_all(session: Session, leavers: Sequence[Leaver], choices: Choices) -> Decided:
    """One outcome for each, in their order; hold the placement lock to act by it."""
    nodes = session.scalars(select(Node).order_by(Node.id)).all()
    judged = verdicts(session, [leaver.clone for leaver in leavers], nodes)
    guests = _guests(session, leavers, judged)
    hosts = hosts_among(session, select(Node.id)) if choices.live else {}
    weights = {**DEFAULT_WEIGHTS, **settings().weights}
    return Decided(guests, decide(guests, _states(session, leavers, nodes), hosts, choices, weights))


def _states(session: Session, leavers: Sequence[Leaver], nodes: Sequence[Node]) -> Mapping[int, Sequence[NodeState]]:
    versions = {leaver.clone.version_id: leaver.clone.version for leaver in leavers}
    views = NodeViews(session, nodes, list(versions.values()))
    return {id_: [views.of(version, node.id) for node in nodes] for id_, version in versions.items()}


def _guests(session: Session, leavers: Sequence[Leaver], judged: Verdicts) -> list[Guest]:
    clones = [leaver.clone for leaver in leavers]
    used, former = _used(session, clones), _former(session, clones)
    return [
        _guest(
            leaver, judged.traits_of(leaver.clone), leaver.clone.id in used, former.get(leaver.clone.uuid, frozenset())
        )
        for leaver in leavers
    ]


def _guest(leaver: Leaver, traits: CloneTraits, in_use: bool, former: frozenset[int]) -> Guest:
    clone = leaver.clone
    return Guest(
        id=clone.id,
        node_id=clone.node_id,
        version_id=clone.version_id,
        memory_mib=traits.memory_mib,
        disk_mib=traits.disk_mib,
        running=clone.state in ON,
        vcpus=traits.vcpus,
        needs=traits.needs,
        volatile=clone.volatile,
        in_use=in_use,
        starts=leaver.starts,
        busy=_busy(clone),
        stuck=_stuck(clone),
        planned=leaver.planned,
        barred=leaver.refused | former,
        only=leaver.only,
        arch=traits.arch,
        virt_type=traits.virt_type if leaver.live and clone.state == CloneState.RUNNING else "",
        platform=traits.platform,
        only_off=traits.only_off,
    )


def _busy(clone: Clone) -> Reason | None:
    """Work that is under way on it."""
    rests = (*OFF, *ON, CloneState.FAILED, CloneState.UNREACHABLE)
    return None if clone.state in rests else Reason("busy", {"state": clone.state})


def _stuck(clone: Clone) -> Reason | None:
    """Why it cannot leave its node; one that has failed is thrown away where it is volatile, as an idle one is."""
    away = not clone.node.is_reachable
    if away or clone.state == CloneState.UNREACHABLE or (clone.state == CloneState.FAILED and not clone.volatile):
        return Reason("stuck", {"state": CloneState.UNREACHABLE if away else clone.state})
    return None


def _used(session: Session, clones: Sequence[Clone]) -> set[int]:
    """The ids of those that somebody works with."""
    since = now() - IDLE
    running = [clone for clone in clones if clone.volatile and clone.state in ON]
    used = {clone.id for clone in running if clone.node.display_address}
    used |= {clone.id for clone in running if clone.started_at and clone.started_at > since}
    cut = or_(Console.closed_at.is_(None), Console.closed_at > since)
    ids = [clone.id for clone in running]
    return used | set(session.scalars(select(Console.clone_id).where(Console.clone_id.in_(ids), cut)))


def _former(session: Session, clones: Sequence[Clone]) -> Mapping[str, frozenset[int]]:
    """On which nodes something is left of each of these, by their UUIDs."""
    found: dict[str, set[int]] = {}
    left = select(Remains.uuid, Remains.node_id).where(Remains.uuid.in_([clone.uuid for clone in clones]))
    for uuid, node_id in session.execute(left):
        found.setdefault(uuid or "", set()).add(node_id)
    return {uuid: frozenset(ids) for uuid, ids in found.items()}


def reason_of(outcome: Outcome, clone: Clone, names: Mapping[int, str]) -> Message:
    """Why one waits or stays, in words; an empty message for one that goes."""
    reason = outcome.reason
    if reason is None:
        if outcome.way != MoveWay.STAYS:
            return NOTHING
        groups = blocked(outcome.verdicts)
        return message("plans.no_place", blocked_clauses=groups) if groups else message("plans.no_other_node")
    match reason.code:
        case "busy":
            return busy(state_message(str(reason.figures["state"])))
        case "stuck":
            return message("plans.stuck", state=state_message(str(reason.figures["state"])), why=clone.reason)
        case "drain_base_missing":
            return message("plans.drain_base_missing", node=names.get(outcome.to or 0, ""))
    return message(f"plans.{reason.code}")


def leavers_of(moves: Collection[PlannedMove], fixed: bool) -> list[Leaver]:
    """The clones of these planned moves; `fixed`: each may go where it is planned alone."""
    return [
        Leaver(
            clone=move.clone,
            planned=move.to_id,
            starts=move.starts,
            live=move.tries < LIVE_TRIES,
            refused=frozenset(move.refused),
            only=(frozenset({move.to_id}) if move.to_id else frozenset()) if fixed else None,
        )
        for move in moves
        if move.clone is not None
    ]
