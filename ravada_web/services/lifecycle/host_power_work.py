"""Shutting down and restarting a host, as it is watched until its end; no worker waits for it.

First come the guests, which were asked to shut down: what does not in its time is left, which ends it, or forced off,
as was chosen. The host is asked only once nothing runs there, and seen through to off, or to up again.
"""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from ravada_web.clock import has_come, is_recent
from ravada_web.extensions import db
from ravada_web.guard import guarded
from ravada_web.messages import NOTHING, Message, message, sentences
from ravada_web.models import (
    Away,
    Clone,
    CloneState,
    Node,
    Observed,
    Operation,
    OperationState,
    ServiceState,
    User,
    now,
)
from ravada_web.remote.commands import run
from ravada_web.remote.errors import NodeUnreachable, RemoteError
from ravada_web.services.clones import absence, remains
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.lifecycle.held import held
from ravada_web.services.lifecycle.host_power import FORCE, OFF, RESTART
from ravada_web.services.lifecycle.service_state import ON, enable_again, shut_down_all
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations.execution import Handle, end
from ravada_web.services.transaction import transaction

# Guests have two minutes from when they are asked (`shutdowns`), and those that start meanwhile are asked then.
GUESTS_SECONDS = 300.0
# A host that waits for something of its own takes minutes; its firmware tests the memory of a large one for as long.
HOST_SECONDS = 900.0
# It is asked again where it still answers after so long.
AGAIN_SECONDS = 60.0
COMMAND_SECONDS = 10.0
WORKING = (CloneState.STOPPING, CloneState.STARTING, CloneState.REQUESTED, CloneState.CREATING, CloneState.MOVING)
# By these it is another start of the host, be it a real one or a container of the same kernel.
BOOT = ("sh", "-c", "cat /proc/sys/kernel/random/boot_id; cut -d' ' -f22 /proc/1/stat")
ASK = {OFF: ("systemctl", "--no-block", "poweroff"), RESTART: ("systemctl", "--no-block", "reboot")}
# In the operation's result: what it waits for.
GUESTS, HOST = "guests", "host"


def begin(handle: Handle) -> None:
    """The job's part: from now on it is watched."""
    handle.result = {"waits_for": GUESTS, "asked": handle.params["asked"]}
    handle.watched_until = now() + timedelta(seconds=GUESTS_SECONDS)


def due() -> list[Sequence[int]]:
    """The ids of what is watched, a job each: a host that is slow to answer holds up no other."""
    query = select(Operation.id).where(Operation.state == OperationState.WATCHED, Operation.kind.in_((OFF, RESTART)))
    return [(id_,) for id_ in db.session.scalars(query.order_by(Operation.id))]


def watch(operation_ids: Sequence[int]) -> None:
    """Do the next step of each of these, if it is time for it; what goes wrong with one ends that one."""
    for operation_id in operation_ids:
        with guarded(partial(_fail, operation_id), operation=operation_id):
            _look(operation_id)


def _look(operation_id: int) -> None:
    if _step(operation_id):
        _ask(operation_id)


def _step(operation_id: int) -> bool:
    """Write what has come of it by now; returns whether the host is to be asked."""
    with transaction() as session:
        row = _watched(session, operation_id)
        if row is None or row.node is None:
            return False
        for_guests = row.result["waits_for"] == GUESTS
        if row.cancel_asked:
            late = message("nodes.power_cancelled_late", node=row.node.name)
            said = message("nodes.power_cancelled", node=row.node.name) if for_guests else late
            end(session, row, OperationState.CANCELLED, said)
        elif "boot" not in row.result and row.node.service_state != ServiceState.MAINTENANCE:
            # Desktops may be started there again.
            end(session, row, OperationState.CANCELLED, message("nodes.power_in_service", node=row.node.name))
        elif for_guests:
            _wait_for_guests(session, row, row.node)
        elif _is_settled(session, row, row.node):
            end(session, row, OperationState.DONE)
        elif _is_late(row, HOST_SECONDS):
            late = message(f"nodes.{row.kind}_late", node=row.node.name)
            end(session, row, OperationState.FAILED, sentences(late, Message.from_json(row.result.get("said"))))
        elif "boot" in row.result and row.node.observed == Observed.DOWN:
            row.message = _stage(row.kind, row.node)
        return row.state == OperationState.WATCHED and row.result["waits_for"] == HOST


def _is_late(row: Operation, seconds: float) -> bool:
    return row.watched_until is not None and has_come(row.watched_until, timedelta(seconds=seconds))


def _wait_for_guests(session: Session, row: Operation, node: Node) -> None:
    """Go on to the host once nothing runs there; end it where something does for too long."""
    standing = select(Clone).where(Clone.node_id == node.id, Clone.state.in_((*ON, *WORKING)))
    clones = session.scalars(standing.order_by(Clone.sort_name)).all()
    at_work = (Operation.node_id == node.id, Operation.state == OperationState.RUNNING, Operation.id != row.id)
    is_busy = remains.arriving_on([node.id]) or session.scalar(select(Operation.id).where(*at_work).limit(1))
    if not clones and not is_busy:
        row.result = {"waits_for": HOST}
        row.watched_until = now() + timedelta(seconds=HOST_SECONDS)
        row.message = message("nodes.power_host_next")
        return
    on = [clone for clone in clones if clone.state in ON]
    stubborn = [clone for clone in on if clone.id in row.result["asked"]]
    names = [clone.name for clone in clones]
    if stubborn and row.params["stubborn"] == FORCE and not row.result.get("forced"):
        _force_off(session, row, stubborn)
    elif stubborn or _is_late(row, GUESTS_SECONDS):
        left = message("nodes.power_guests_left", node=node.name, count=len(names), names=names)
        end(session, row, OperationState.FAILED, left if names else message("nodes.power_busy", node=node.name))
    else:
        if on:
            asked = shut_down_all(session, _actor(session, row), node)
            row.result = row.result | {"asked": [*row.result["asked"], *asked]}
        row.message = message("nodes.power_guests", count=len(names)) if names else message("nodes.power_work")


def _force_off(session: Session, row: Operation, clones: Sequence[Clone]) -> None:
    clone_actions.force_off(_actor(session, row), [clone.id for clone in clones])
    row.result = row.result | {"forced": True}
    row.message = message("nodes.power_forced", count=len(clones))


def _actor(session: Session, row: Operation) -> User:
    """Who asked for it. Their rights are looked at again with each thing that is done."""
    return session.get_one(User, row.user_id)


def _stage(kind: str, node: Node) -> Message:
    """What a host that was asked and is down does, as the checks see it."""
    return message(f"nodes.{kind}_{'refuses' if node.away == Away.REFUSES else 'silent'}")


def _is_settled(session: Session, row: Operation, node: Node) -> bool:
    """Whether the host has done what it was asked for. One that was enabled before its restart is so again."""
    if "boot" not in row.result:
        return False  # it was not asked yet
    if row.kind == OFF:
        if node.observed != Observed.DOWN or node.away == Away.REFUSES:
            return False
        kept = held(session, node.id)
        kept.shut_down_news = message("nodes.now_shut_down", name=row.params["by"], off_at=now())
        absence.tell(session, kept)
        row.message = message("nodes.host_off_done", node=node.name)
        return True
    if not row.result.get("came_back") or not node.is_reachable:
        return False
    kept = held(session, node.id)
    row.message = message("nodes.host_restart_done", node=node.name)
    if row.params["before"] == ServiceState.ENABLED and kept.service_state == ServiceState.MAINTENANCE:
        enable_again(session, kept, message("nodes.enabled_after_restart"))
    return True


def _ask(operation_id: int) -> None:
    """Ask the host; look whether one that was asked to restart has; ask again what seems to have missed it."""
    row = db.session.get_one(Operation, operation_id)
    node, known, kind, asked_at = row.node, row.result.get("boot"), row.kind, row.asked_at
    if node is None or node.observed != Observed.UP:
        return
    where = endpoints.target(node)
    is_due = known is None or not is_recent(asked_at, timedelta(seconds=AGAIN_SECONDS))
    db.session.rollback()
    try:
        boot = run(endpoints.workspace(), where, BOOT, deadline=COMMAND_SECONDS, fresh=True).decode(errors="replace")
        if known is not None and boot != known:
            _note(operation_id, {"came_back": True})
        # Written before it is asked, by one look: who knows nothing of the first start never asks for a second one.
        elif is_due and _claim(operation_id, known, boot, message(f"nodes.{kind}_asked")):
            run(endpoints.workspace(), where, ASK[kind], deadline=COMMAND_SECONDS, fresh=True)
    except NodeUnreachable as error:
        if known is None:  # one that was asked is on its way
            _note(operation_id, {}, error.message)
    except RemoteError as error:
        # The next look sees whether it does it all the same.
        _note(operation_id, {"said": error.message.to_json()}, error.message)


def _claim(operation_id: int, known: str | None, boot: str, said: Message) -> bool:
    """Write that the host is asked now, in that start of it; returns False where another look was quicker, or it is
    over."""
    with transaction() as session:
        row = _watched(session, operation_id)
        if row is None or row.cancel_asked or row.result.get("boot") != known:
            return False
        row.result, row.message, row.asked_at = row.result | {"boot": boot}, said, now()
        return True


def _note(operation_id: int, found: dict[str, Any], said: Message = NOTHING) -> None:
    with transaction() as session:
        if row := _watched(session, operation_id):
            row.result = row.result | found
            row.message = said or row.message


def _watched(session: Session, operation_id: int) -> Operation | None:
    query = select(Operation).where(Operation.id == operation_id, Operation.state == OperationState.WATCHED)
    return session.scalar(query.options(joinedload(Operation.node)).with_for_update(of=Operation, key_share=True))


def _fail(operation_id: int, why: Message) -> None:
    with transaction() as session:
        if row := _watched(session, operation_id):
            end(session, row, OperationState.FAILED, why)
