"""Writing down what node checks saw: the nodes' states and figures, and their clones' states."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from ravada_web.guard import guarded
from ravada_web.hypervisor.facts import NodeFacts
from ravada_web.hypervisor.health import NodeHealth
from ravada_web.messages import NOTHING, Message, message
from ravada_web.models import IN_WORK, Clone, CloneState, Node, Observed, Trust, now
from ravada_web.remote.offers import HostOffers
from ravada_web.services.audit import events
from ravada_web.services.bases import replica_files
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.monitoring import alerts
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.health import judge
from ravada_web.services.nodes import history as node_history
from ravada_web.services.nodes.facts import store_facts, store_sample
from ravada_web.services.transaction import transaction

# Domains of a node that are none of ours and can be imported, of which so many are named.
MOST_OTHERS = 1000


def record(answers: Sequence[Answer]) -> None:
    """Write a lot of answers in one transaction; volatile clones that were seen stopped are deleted.

    An answer that cannot be stored, such as a figure beyond all bounds, degrades its own node alone.
    """
    with transaction() as session:
        if not _why_not(session, answers):
            return
        for answer in answers:
            if (why := _why_not(session, [answer])) and _why_not(session, [_unstorable(answer, why)]):
                _mark(session, answer, why)


def _why_not(session: Session, answers: Sequence[Answer]) -> Message:
    """Write the answers, all or none; returns why not, an empty message where they are stored."""
    reasons: list[Message] = []
    with guarded(reasons.append, nodes=[answer.node_id for answer in answers]), session.begin_nested():
        _record_lot(session, answers)
    return reasons[0] if reasons else NOTHING


def _unstorable(answer: Answer, why: Message) -> Answer:
    """What is written in place of an answer that cannot be stored."""
    reason = message("nodes.unstorable", why=why)
    return replace(answer, observed=Observed.DEGRADED, reason=reason, sample=None, health=None, facts=None, findings=())


def _mark(session: Session, answer: Answer, why: Message) -> None:
    """Say of a node that its row cannot be written as usual, by as little as there is to write."""
    reason = message("nodes.unstorable", why=why)
    with guarded(_unmarked, node=answer.node_id), session.begin_nested():
        node = session.get(Node, answer.node_id)
        if node is None:
            return
        known = (node.observed, node.reason) == (Observed.DEGRADED, reason)
        state = {"observed": Observed.DEGRADED, "reason": reason, "checked_at": now()}
        session.execute(update(Node).where(Node.id == node.id).values(state))
        if not known:
            events.record(session, None, "observed", node, _observation(node))


def _unmarked(_reason: Message) -> None:
    """A row that takes nothing at all keeps its last state, which ages."""


def _record_lot(session: Session, answers: Sequence[Answer]) -> None:
    rows = session.scalars(select(Node).where(Node.id.in_([answer.node_id for answer in answers])))
    nodes = {node.id: node for node in rows}
    for answer in answers:
        if node := nodes.get(answer.node_id):
            _record_one(session, node, answer)
    session.flush()  # pools that were seen for the first time have their number then
    node_history.record(session, nodes.values())
    alerts.update(session, nodes.values(), now())
    replica_files.note(session, [finding for answer in answers for finding in answer.findings])
    session.flush()


def _record_one(session: Session, node: Node, answer: Answer) -> None:
    asked_at = datetime.fromtimestamp(answer.asked_at, UTC)
    if node.checked_at and asked_at < node.checked_at:
        return  # a newer round has been written already
    before = (node.observed, node.trust)
    node.checked_at = asked_at
    judge(node, answer)
    node.ssh_ms, node.libvirt_ms = _ms(answer.ssh_seconds), _ms(answer.libvirt_seconds)
    if answer.pinned_again:
        node.trust = Trust.PINNED
    if answer.sample:
        node.last_seen_at = now()
        store_sample(node, answer.sample, asked_at)
    if answer.facts:
        _store_checked_facts(session, node, answer.facts, answer.offers)
    if answer.health:
        _store_clone_states(session, node, answer.health, asked_at)
    elif answer.observed == Observed.DOWN:
        _lose_clones(session, node)
    if before != (node.observed, node.trust):
        node.observed_at = asked_at
        events.record(
            session,
            None,
            "observed",
            node,
            _observation(node),
        )


def _observation(node: Node) -> Message:
    """The node's state and the reason for it, as the audit log keeps them."""
    state = message(f"nodes.state_{node.observed}")
    return message("nodes.state_because", state=state, why=node.reason) if node.reason else state


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _store_checked_facts(session: Session, node: Node, facts: NodeFacts, host: HostOffers | None) -> None:
    """Keep new facts. The pinned key says who answers; a host UUID that is new, or another node's too, is only told."""
    if node.host_uuid != facts.host_uuid:
        if twin := _holder_of(session, node, facts.host_uuid):
            events.record(session, None, "host_uuid", node, message("nodes.same_uuid", uuid=facts.host_uuid, node=twin))
        elif node.host_uuid:
            changed = message("nodes.new_uuid", old=node.host_uuid, new=facts.host_uuid)
            events.record(session, None, "host_uuid", node, changed)
    store_facts(node, facts, host)


def _holder_of(session: Session, node: Node, host_uuid: str) -> str | None:
    """The name of another node that has this host UUID."""
    query = select(Node.name).where(Node.host_uuid == host_uuid, Node.id != node.id)
    return session.scalar(query.order_by(Node.id).limit(1))


def _store_clone_states(session: Session, node: Node, health: NodeHealth, asked_at: datetime) -> None:
    ours = session.scalars(select(Clone).where(Clone.node_id == node.id)).all()
    known = {clone.uuid for clone in ours}
    others = sorted(seen.name for uuid, seen in health.domains.items() if seen.name and uuid not in known)
    node.other_domains = others[:MOST_OTHERS]
    idle = [clone for clone in ours if clone.state not in IN_WORK and clone.changed_at < asked_at]
    for clone in idle:
        _store_clone_state(clone, health)
    ended = [c.id for c in idle if c.volatile and c.started_at and c.state == CloneState.STOPPED]
    if ended:
        clone_actions.delete_volatile(session, node, ended)


def _store_clone_state(clone: Clone, health: NodeHealth) -> None:
    seen = health.domains.get(clone.uuid)
    if seen is not None:
        if clone.state != seen.state:
            clone.reason = seen.reason
        clone.state, clone.out_of_space = CloneState(seen.state), seen.out_of_space
    elif clone.state != CloneState.FAILED:
        clone.state = CloneState.FAILED
        clone.reason = message("clones.vanished")


def _lose_clones(session: Session, node: Node) -> None:
    """The clones of a dead node cannot be reached; those that are being worked on are left to their operations."""
    lost = update(Clone).where(Clone.node_id == node.id, Clone.state.not_in([*IN_WORK, CloneState.FAILED]))
    reason = message("clones.node_down", node=node.name)
    session.execute(lost.values(state=CloneState.UNREACHABLE, reason=reason))
