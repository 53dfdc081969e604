"""One placement: choose, keep the decision, and say what was kept."""

import hashlib
import json
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from ravada_web.config import settings
from ravada_web.messages import NOTHING, Message
from ravada_web.models import (
    Base,
    BaseVersion,
    Decision,
    Roster,
    User,
)
from ravada_web.placement import grouping
from ravada_web.placement.select import place
from ravada_web.placement.types import Decision as Choice
from ravada_web.placement.types import Demand
from ravada_web.placement.weighers import DEFAULT_WEIGHTS
from ravada_web.services.nodes.offers import needs_of
from ravada_web.services.placements import reserve
from ravada_web.services.placements.loads import node_states


def choose(
    session: Session,
    base: Base,
    version: BaseVersion,
    count: int,
    start: bool,
    among: Select[int] | None = None,
    *,
    volatile: bool = False,
    again: bool = False,
) -> Choice:
    """Place `count` clones on what stands in the database now, on the nodes of these ids where they are given; hold
    the placement lock while calling. Those that are made `again` may use the room that is kept for the loss of a
    node."""
    kept = reserve.kept(session, [base.id]) if start and not again else None
    demand = Demand(
        count=count,
        memory_mib=base.memory_mib,
        vcpus=base.vcpus,
        disk_mib=settings().overlay_charge_mib * len(version.disks),
        start=start,
        needs=needs_of(base),
        onto=kept.onto_of(base, volatile) if kept else frozenset(),
    )
    states = node_states(session, version, among)
    return place(states, demand, {**DEFAULT_WEIGHTS, **settings().weights}, kept.cluster if kept else None)


def record(session: Session, base: Base, actor: User | None, choice: Choice, why: Message = NOTHING) -> Decision:
    """Write the decision's row, so that every clone can show why it is on its node; `why` is what made it necessary,
    where nobody asked for it. Hold the placement lock while calling."""
    decision = Decision(
        base_id=base.id,
        user_id=actor.id if actor else None,
        why=why,
        count=choice.requested,
        roster=_roster(session, [(verdict.node_id, verdict.node_name) for verdict in choice.verdicts]),
        verdicts=grouping.grouped(choice),
    )
    session.add(decision)
    session.flush()
    return decision


def _roster(session: Session, nodes: list[tuple[int, str]]) -> Roster:
    digest = hashlib.sha256(json.dumps(nodes).encode()).hexdigest()
    known = session.scalar(select(Roster).where(Roster.digest == digest))
    return known or Roster(digest=digest, nodes=nodes)


def explained(decision: Decision) -> dict[str, Any]:
    """The decision with a verdict for every node, as placement's Decision.to_dict."""
    return grouping.spread(decision.verdicts, dict(decision.roster.nodes))
