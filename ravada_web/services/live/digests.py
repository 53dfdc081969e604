"""Digests of what users' pages show: they differ when a page has changed."""

import hashlib
from collections import defaultdict
from collections.abc import Collection

from sqlalchemy import case, func, or_, select

from ravada_web.extensions import db
from ravada_web.guard import guarded
from ravada_web.messages import Message
from ravada_web.models import (
    UNSETTLED,
    Base,
    BaseOffer,
    Clone,
    CloneState,
    Console,
    GroupMember,
    Node,
    Operation,
    OperationState,
    PlannedMove,
)


def digests(topics: Collection[str]) -> dict[str, str]:
    """A digest for each of these "desktops-N" and "clone-N": it differs when what their pages show has changed. Those
    that cannot be made are left out."""
    found: dict[str, str] = {}
    failures: list[Message] = []
    with guarded(failures.append):
        found = _digests(topics)
    for topic in topics if failures and len(topics) > 1 else ():
        with guarded(failures.append, topic=topic):
            found |= _digests([topic])
    return found


def _digests(topics: Collection[str]) -> dict[str, str]:
    owners, ids = _numbers(topics, "desktops"), _numbers(topics, "clone")
    offers = _offers() if owners else ""
    lines: dict[str, list[str]] = defaultdict(list, {f"desktops-{owner}": [offers] for owner in owners})
    shown = (Clone.id, Clone.owner_id, Clone.state, Clone.start_after, Clone.reason, Clone.viewers_refused, Clone.name)
    of_node = (Node.observed, Node.trust, Node.service_state)
    how_far = case((Clone.state == CloneState.MOVING, Operation.progress))
    query = select(how_far, *shown, *of_node, Operation.state).join(Node, Node.id == Clone.node_id).order_by(Clone.id)
    query = query.outerjoin(Operation, Operation.id == Clone.operation_id)
    rows = db.session.execute(query.where(or_(Clone.owner_id.in_(owners), Clone.id.in_(ids)))).all()
    line = _line() if any(row[-1] == OperationState.WAITING for row in rows) else ""
    for row in rows:
        percent, *told = row
        shown_now = f"{told} {line if row[-1] == OperationState.WAITING else ''}"
        lines[f"clone-{row.id}"].append(f"{shown_now} {percent}")
        lines[f"desktops-{row.owner_id}"].append(shown_now)
    ahead = select(PlannedMove.clone_id, Clone.owner_id, PlannedMove.way, PlannedMove.state).join(PlannedMove.clone)
    planned = ahead.where(PlannedMove.state.in_(UNSETTLED), PlannedMove.clone_id.in_([row.id for row in rows]))
    for clone_id, owner_id, *told in db.session.execute(planned.order_by(PlannedMove.id)):
        for topic in (f"clone-{clone_id}", f"desktops-{owner_id}"):
            lines[topic].append(f"planned {told}")
    open_ones = select(Console.id, Console.clone_id).where(Console.closed_at.is_(None), Console.clone_id.in_(ids))
    for console_id, clone_id in db.session.execute(open_ones.order_by(Console.id)):
        lines[f"clone-{clone_id}"].append(f"console {console_id}")
    return {topic: hashlib.sha256("\n".join(lines[topic]).encode()).hexdigest() for topic in topics}


def _line() -> str:
    """How many operations are not over: when that changes, places in the queue have."""
    states = (OperationState.WAITING, OperationState.RUNNING)
    return str(db.session.scalar(select(func.count()).where(Operation.state.in_(states))))


def _offers() -> str:
    """All offers, as one text: they seldom change, and then every user's page may."""
    bases = db.session.execute(select(Base.id, Base.name, Base.state, Base.offered_to_all).order_by(Base.id))
    offers = select(BaseOffer.base_id, BaseOffer.group_id, BaseOffer.user_id).order_by(BaseOffer.id)
    members = select(GroupMember.group_id, func.count()).group_by(GroupMember.group_id).order_by(GroupMember.group_id)
    return repr(
        [[tuple(row) for row in result] for result in (bases, db.session.execute(offers), db.session.execute(members))]
    )


def _numbers(topics: Collection[str], kind: str) -> list[int]:
    return [int(topic.partition("-")[2]) for topic in topics if topic.startswith(f"{kind}-")]
