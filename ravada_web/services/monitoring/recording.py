"""Writing down what node checks saw: the nodes' states and figures, and their clones' states."""

import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Update, case, func, select, update
from sqlalchemy.orm import Session

from ravada_web.hypervisor.facts import NodeFacts
from ravada_web.hypervisor.health import DomainState
from ravada_web.messages import NOTHING, Message, message
from ravada_web.models import IN_WORK, USING_MEMORY, Away, Clone, CloneState, Node, Observed, Remains, Trust, now
from ravada_web.remote.offers import HostOffers
from ravada_web.services.audit import events
from ravada_web.services.bases import replica_files
from ravada_web.services.batches import grouped
from ravada_web.services.clones import absence, remains, remaking
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.joining import identity
from ravada_web.services.lots import write_lot
from ravada_web.services.monitoring import alerts, falls
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.health import judge
from ravada_web.services.moves import taking_up
from ravada_web.services.nodes import history as node_history
from ravada_web.services.nodes.facts import store_facts, store_sample
from ravada_web.services.transaction import hold_rows

# Domains of a node that are none of ours and can be imported, of which so many are named.
MOST_OTHERS = 1000


def record(answers: Sequence[Answer]) -> None:
    """Write a lot of answers in one transaction; volatile clones that were seen stopped are deleted.

    An answer that cannot be stored, such as a figure beyond all bounds, degrades its own node alone; and where a node's
    row takes nothing at all, an alert says so.
    """
    write_lot(answers, _record_lot, _degrade)


def _degrade(answer: Answer, why: Message) -> None:
    write_lot([_unstorable(answer, why)], _record_lot, lambda _unstored, _why: _mark_alone(answer, why))


def _mark_alone(answer: Answer, why: Message) -> None:
    write_lot([answer], lambda session, _answers: _mark(session, answer, why), _unwritable)


def _unwritable(answer: Answer, why: Message) -> None:
    alerts.tell_unwritable(answer.node_id, why)


def _unstorable(answer: Answer, why: Message) -> Answer:
    """What is written in place of an answer that cannot be stored."""
    reason = message("nodes.unstorable", why=why)
    return replace(answer, observed=Observed.DEGRADED, reason=reason, sample=None, health=None, facts=None, findings=())


def _mark(session: Session, answer: Answer, why: Message) -> None:
    """Say of a node that its row cannot be written as usual, by as little as there is to write."""
    reason = message("nodes.unstorable", why=why)
    node = session.get(Node, answer.node_id)
    if node is None or answer.round <= node.seen_round:
        return
    known = (node.observed, node.reason) == (Observed.DEGRADED, reason)
    state = {"observed": Observed.DEGRADED, "reason": reason, "checked_at": now(), "seen_round": answer.round}
    session.execute(update(Node).where(Node.id == node.id).values(state))
    if not known:
        events.record(session, None, "observed", node, _observation(node))


def _record_lot(session: Session, answers: Sequence[Answer]) -> None:
    asked = select(Node).where(Node.id.in_([answer.node_id for answer in answers])).order_by(Node.id)
    # Locked before they are read: of two rounds that are written at once, the older one sees that it is.
    rows = session.scalars(asked.with_for_update(key_share=True).execution_options(populate_existing=True))
    nodes = {node.id: node for node in rows}
    # Only where it is newer than what was written already.
    news = [answer for answer in answers if answer.node_id in nodes and nodes[answer.node_id].seen_round < answer.round]
    # In the order in which people's actions lock them, and not node by node.
    hold_rows(session, Clone, _moving(session, news))
    node_ids = [answer.node_id for answer in news]
    doomed, arriving = remains.doomed_on(node_ids), remains.arriving_on(node_ids)
    for answer in news:
        ours = doomed.get(answer.node_id, [])
        _record_one(session, nodes[answer.node_id], answer, ours, arriving.get(answer.node_id, set()))
    session.flush()  # pools that were seen for the first time have their number then
    written = [nodes[answer.node_id] for answer in news]
    node_history.record(session, written)
    alerts.update(session, written, now())
    replica_files.note(session, [finding for answer in answers for finding in answer.findings])
    session.flush()


def _moving(session: Session, answers: Sequence[Answer]) -> Collection[int]:
    """The ids of the clones of which these answers say something new."""
    seen = {answer.node_id: answer.health.domains for answer in answers if answer.health}
    down = {answer.node_id for answer in answers if not answer.health and answer.observed == Observed.DOWN}
    moving = []
    for row in session.execute(_CLONES.where(Clone.node_id.in_({*seen, *down}))):
        if row.node_id in down:
            moving += [row.id] if row.state not in (*IN_WORK, CloneState.FAILED, CloneState.UNREACHABLE) else []
        elif _news_of(row, seen[row.node_id].get(row.uuid, _VANISHED)):
            moving.append(row.id)
    return moving


def _record_one(
    session: Session, node: Node, answer: Answer, doomed: Sequence[Remains], arriving: Collection[str]
) -> None:
    asked_at = now() - timedelta(seconds=time.monotonic() - answer.asked)
    before, was, away = (node.observed, node.trust), node.seen, node.away
    last_seen_at = node.last_seen_at
    node.seen_round, node.checked_at = answer.round, asked_at
    judge(node, answer)
    _note_absence(session, node, answer)
    _note_started(session, node, answer)
    node.ssh_ms, node.libvirt_ms = _ms(answer.ssh_seconds), _ms(answer.libvirt_seconds)
    if answer.pinned_again:
        node.trust = Trust.PINNED
        node.forget_newcomer()
    if answer.sample:
        node.last_seen_at = now()
        store_sample(node, answer.sample, asked_at)
        identity.note_machine_id(session, node, answer.sample.machine_id)
        node.figures_round = answer.round
    if answer.facts:
        _store_checked_facts(session, node, answer.facts, answer.offers)
        node.facts_round = answer.round
    if answer.health:
        falls.note_boot(session, node, answer.sample.boot if answer.sample else "", answer.round)
        beside = {*arriving, *(row.uuid for row in doomed if row.uuid)}
        _store_clone_states(session, node, answer, last_seen_at, beside)
        taking_up.take_up(session, node, came_back=was != Observed.UP)
        remains.note_seen(session, node, doomed, answer.health.domains, came_back=was != Observed.UP)
    elif answer.observed == Observed.DOWN:
        _lose_clones(session, node, answer.round, last_seen_at)
        if node.away != away:
            absence.tell(session, node)
    if before != (node.observed, node.trust):
        node.observed_at = asked_at
    if (*before, away) != (node.observed, node.trust, node.away):
        events.record(session, None, "observed", node, _observation(node))
    if answer.observed == Observed.DOWN:
        remaking.request_where_lost(session, node)


def _note_absence(session: Session, node: Node, answer: Answer) -> None:
    """Write how a node is away. One that is known to be off stays so until anything there answers."""
    if node.known_off_at is not None:
        if not answer.proves_life or answer.round <= node.known_off_round:
            return
        node.forget_off()
        answers = node.reason or message("nodes.state_up")
        events.record(session, None, "known_off_ended", node, message("nodes.off_over", why=answers))
    node.away = answer.away if answer.observed == Observed.DOWN else Away.NONE
    if node.away != Away.SILENT:
        node.shut_down_news = NOTHING


def _observation(node: Node) -> Message:
    """The node's state and the reason for it, as the audit log keeps them."""
    state = message(f"nodes.state_{node.away or node.observed}")
    return message("nodes.state_because", state=state, why=node.reason) if node.reason else state


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def _store_checked_facts(session: Session, node: Node, facts: NodeFacts, host: HostOffers | None) -> None:
    """Keep new facts. The pinned key says who answers; a host UUID that is new, or another node's too, is only told."""
    identity.note_host_uuid(session, node, facts.host_uuid)
    store_facts(node, facts, host)


def _note_started(session: Session, node: Node, answer: Answer) -> None:
    if answer.started:
        events.record(session, None, "mend", node, message("nodes.started_again", names=list(answer.started)))


def _store_clone_states(
    session: Session, node: Node, answer: Answer, last_seen_at: datetime | None, beside: Collection[str]
) -> None:
    health, number = answer.health, answer.round
    assert health is not None, "asked by its caller"
    # What stands on a node that was given up is nobody's desktop until it is taken back.
    if node.is_given_up:
        return
    ours = session.execute(_CLONES.where(Clone.node_id == node.id)).all()
    known = {clone.uuid for clone in ours} | set(beside)
    others = [seen for uuid, seen in health.domains.items() if seen.name and uuid not in known]
    node.other_domains = sorted(seen.name for seen in others)[:MOST_OTHERS]
    node.other_running = sorted(seen.name for seen in others if seen.state in USING_MEMORY)[:MOST_OTHERS]
    if answer.sample and answer.sample.nologin:
        ours = [clone for clone in ours if not falls.may_be_falling(clone, health.domains.get(clone.uuid, _VANISHED))]
    started_anew = node.boot_round == number
    thwarted = falls.thwarted_since(session, node, last_seen_at) if started_anew else falls.Thwarted()
    news = [(clone.id, seen) for clone in ours if (seen := _news_of(clone, health.domains.get(clone.uuid, _VANISHED)))]
    for seen, alike in grouped(news, lambda pair: pair[1]).items():
        values = dict(seen)
        if values.get("state") == CloneState.RUNNING:  # by whoever started it: it has run, and can end
            values["started_at"] = func.coalesce(Clone.started_at, now())
        session.execute(_idle(node, number, [clone_id for clone_id, _seen in alike]).values(**values))
    fell = [clone.id for clone in ours if falls.fell(clone, health.domains.get(clone.uuid, _VANISHED), node)]
    if fallen := {*fell, *thwarted.starts} - {*thwarted.stops}:
        session.execute(_idle(node, number, fallen).values(state_before=CloneState.RUNNING))
        remaking.start_fallen(session, sorted(fallen))
    off = (Clone.volatile, Clone.started_at.is_not(None), Clone.state == CloneState.STOPPED)
    ended = select(Clone.id).where(Clone.node_id == node.id, Clone.changed_round < number, *off)
    if ids := session.scalars(ended).all():
        clone_actions.delete_volatile(session, node, ids)


# What is lost stands on no node that could be checked.
_CLONES = select(
    Clone.id, Clone.uuid, Clone.state, Clone.state_before, Clone.changed_round, Clone.out_of_space, Clone.node_id
).where(~Clone.lost)
_VANISHED = DomainState("", CloneState.FAILED, message("clones.vanished"))


def _news_of(clone: falls.Known, seen: DomainState) -> tuple[tuple[str, Any], ...]:
    """The columns that are to be written of a clone that was seen so, with their values; () where nothing is new."""
    if clone.state in IN_WORK or (seen is _VANISHED and clone.state == CloneState.FAILED):
        return ()
    state, waits = CloneState(seen.state), ("out_of_space", seen.out_of_space)
    if clone.state != state:
        return ("state", state), waits, ("reason", seen.reason)
    return () if clone.out_of_space == seen.out_of_space else (waits,)


def _idle(node: Node, number: int, clone_ids: Collection[int] | None = None) -> Update:
    """A change of the node's clones (these of them, or all) that holds only for those that no operation owns by now,
    and that none has moved since the round began: what was accepted meanwhile is never overwritten by what was seen."""
    which = () if clone_ids is None else (Clone.id.in_(clone_ids),)
    owned_by_none = (Clone.state.not_in(IN_WORK), Clone.changed_round < number)
    return update(Clone).where(Clone.node_id == node.id, *which, *owned_by_none)


def _lose_clones(session: Session, node: Node, number: int, last_seen_at: datetime | None) -> None:
    """The clones of a dead node cannot be reached; those that are being worked on are left to their operations."""
    lost = _idle(node, number).where(Clone.state.not_in([CloneState.FAILED, CloneState.UNREACHABLE]))
    thwarted = falls.thwarted_since(session, node, last_seen_at)
    to_run, to_be_off = Clone.id.in_(thwarted.starts), Clone.id.in_(thwarted.stops)
    before = case((to_run, CloneState.STARTING.value), (to_be_off, ""), else_=Clone.state)
    session.execute(lost.values(state=CloneState.UNREACHABLE, state_before=before, reason=absence.reason(node)))
