"""Waking a host: every way there is is tried, then it is watched until it is up; no worker waits for it.

A packet may be lost and nobody says so: it is sent again as long as nothing answers.
"""

import shlex
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from ravada_web.clock import has_come, is_recent
from ravada_web.config import settings
from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.guard import guarded
from ravada_web.messages import Message, MessageError, message, sentences
from ravada_web.messages.foreign import printable
from ravada_web.models import Away, Node, Observed, Operation, OperationState, ServiceState, Trust, now
from ravada_web.remote import wake
from ravada_web.remote.pipes import TooMuch
from ravada_web.services.lifecycle import fence_agents, fencing, host_power, programs, service_state, waking
from ravada_web.services.lifecycle.held import held
from ravada_web.services.lifecycle.waking import WAKE, Ways
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations.execution import Handle, end
from ravada_web.services.transaction import transaction

# The firmware of a large host tests its memory for minutes.
WAKE_SECONDS = 900.0
AGAIN_SECONDS = 20.0
COMMAND_SECONDS, MOST_OUTPUT = 30.0, 1 << 16
# Nothing of our own settings, which hold secrets, is the command's to know.
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
# How far it is, of a hundred, by what was seen of the node last.
SENT, ANSWERS, SSH = 10, 40, 70


def begin(handle: Handle) -> None:
    """The job's part: try all ways; from then on it is watched. Raises Conflict where none of them was taken."""
    node = db.session.get_one(Node, handle.node_id)
    found, name, address = waking.ways(db.session(), node), node.name, node.address
    options = fencing.options_of(db.session(), node.id) if found.agent else {}
    db.session.rollback()
    handle.check()
    tries: list[Callable[[], Message]] = []
    if found.agent:
        tries.append(partial(_by_agent, found.agent, options))
    if found.mac:
        tries.append(partial(_by_packet, found))
    if found.command:
        tries.append(partial(_by_command, name, address, found.mac))
    said, worked = list(() if tries else found.lacking), False
    for attempt in tries:
        try:
            said.append(attempt())
            worked = True
        except (MessageError, OSError) as error:
            said.append(error.message if isinstance(error, MessageError) else message("waking.failed", why=str(error)))
    if not worked:
        raise Conflict(sentences(message("waking.nothing_sent", node=name), *said))
    handle.result = {"tried": [each.to_json() for each in said]}
    handle.watched_until = now() + timedelta(seconds=WAKE_SECONDS)


def _by_agent(agent: str, options: dict[str, str]) -> Message:
    fence_agents.turn_on(agent, options)
    return message("waking.by_agent", agent=agent)


def _by_packet(found: Ways) -> Message:
    """From this very host where it is in that network, and from a node that is: a switch may keep either apart."""
    senders, failed = list[str | Message](), list[MessageError]()
    try:
        if found.from_here:
            wake.send_from_here(found.mac, found.from_here)
            senders.append(message("waking.us"))
    except OSError as error:
        failed.append(Conflict(message("waking.failed", why=str(error))))
    if found.sender:
        where, to = found.sender
        try:
            wake.send_from(endpoints.workspace(), where, found.mac, to)
            senders.append(where.name)
        except MessageError as error:
            failed.append(error)
    if not senders:
        raise failed[0]
    return message("waking.by_packet", mac=found.mac, senders=senders)


def _by_command(name: str, address: str, mac: str) -> Message:
    words = [*shlex.split(settings().wake_command), name, address, mac]
    try:
        status, output, errors = programs.ended(words, b"", COMMAND_SECONDS, MOST_OUTPUT, ENVIRONMENT)
    except subprocess.TimeoutExpired as error:
        raise Conflict(message("waking.command_late", deadline_seconds=COMMAND_SECONDS)) from error
    except TooMuch as error:
        raise Conflict(message("waking.command_too_much")) from error
    if status:
        raise Conflict(message("waking.command_failed", status=status, said=printable(errors.strip() or output)))
    return message("waking.by_command")


def due() -> list[Sequence[int]]:
    """The ids of what is watched, a job each."""
    query = select(Operation.id).where(Operation.state == OperationState.WATCHED, Operation.kind == WAKE)
    return [(id_,) for id_ in db.session.scalars(query.order_by(Operation.id))]


def watch(operation_ids: Sequence[int]) -> None:
    """Look how far each of these is; what goes wrong with one ends that one."""
    for operation_id in operation_ids:
        with guarded(partial(_fail, operation_id), operation=operation_id):
            if again := _look(operation_id):
                with suppress(MessageError):  # whoever sent it is gone, maybe; the next time another does
                    _by_packet(again)


def _look(operation_id: int) -> Ways | None:
    """Write how far it is; returns how to send the packet again, where it is time for that."""
    with transaction() as session:
        row = _watched(session, operation_id)
        if row is None or row.node is None:
            return None
        node, tried = row.node, [Message.from_json(each) for each in row.result["tried"]]
        if row.cancel_asked:
            end(session, row, OperationState.CANCELLED, message("waking.cancelled", node=node.name))
        elif node.is_given_up or node.trust != Trust.PINNED:
            end(session, row, OperationState.FAILED, message("waking.no_longer", node=node.name))
        elif node.is_reachable:
            _is_up(session, row, node)
        elif row.watched_until is not None and has_come(row.watched_until, timedelta(seconds=WAKE_SECONDS)):
            late = message("waking.late", node=node.name, waited_seconds=WAKE_SECONDS, why=_stage(node)[1])
            end(session, row, OperationState.FAILED, sentences(late, *tried))
        else:
            row.progress, stage = _stage(node)
            row.message = sentences(*tried, stage)
            is_silent = node.observed == Observed.DOWN and node.away != Away.REFUSES
            if is_silent and not is_recent(row.asked_at, timedelta(seconds=AGAIN_SECONDS)):
                row.asked_at = now()
                found = waking.ways(session, node)
                return found if found.mac else None
        return None


def _is_up(session: Session, row: Operation, node: Node) -> None:
    """It is up by its checks: it gets work again where that was asked for, and nobody has said otherwise since."""
    kept = held(session, node.id)
    is_meant = kept.rests or not row.params.get(host_power.RESTS)
    if row.params["enable"] and kept.service_state == ServiceState.MAINTENANCE and is_meant:
        service_state.enable_again(session, kept, message("waking.enabled"))
    serves = kept.service_state == ServiceState.ENABLED
    row.message = message("waking.up", node=node.name) if serves else message("waking.up_out", node=node.name)
    end(session, row, OperationState.DONE)


def _stage(node: Node) -> tuple[int, Message]:
    """How far it is, and what it waits for."""
    if node.observed == Observed.DEGRADED:
        return SSH, message("waking.ssh", why=node.why)
    if node.away == Away.REFUSES or node.observed == Observed.UP:
        return ANSWERS, message("waking.answers")
    return SENT, message("waking.silent")


def _watched(session: Session, operation_id: int) -> Operation | None:
    query = select(Operation).where(Operation.id == operation_id, Operation.state == OperationState.WATCHED)
    return session.scalar(query.options(joinedload(Operation.node)).with_for_update(of=Operation, key_share=True))


def _fail(operation_id: int, why: Message) -> None:
    with transaction() as session:
        if row := _watched(session, operation_id):
            end(session, row, OperationState.FAILED, why)
