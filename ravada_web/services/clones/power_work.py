"""Starting, stopping and restarting a batch of clones on its node."""

import time
from collections.abc import Sequence
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from ravada_web.errors import Conflict
from ravada_web.hypervisor import displays, domains
from ravada_web.hypervisor.errors import HypervisorError
from ravada_web.messages import Message, message, sentences
from ravada_web.models import Clone, CloneState
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones.batch import claimed_clones, set_state, still_ours
from ravada_web.services.clones.waves import give_way
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations.execution import Handle
from ravada_web.services.transaction import transaction

# How long a guest may take to shut down before the operation says that it has not.
SHUT_DOWN_SECONDS = 120.0
POLL_SECONDS = 0.5


def start(handle: Handle) -> None:
    """Start each clone of the batch; one that cannot start does not keep the others from it."""
    batch = claimed_clones(handle, CloneState.STARTING)
    address = endpoints.display_address(batch[0].node) if batch else ""
    act = partial(displays.start, address=address)
    _each(handle, batch, act, CloneState.RUNNING, CloneState.STOPPED)


def stop(handle: Handle) -> None:
    """Shut the batch's guests down and wait until they are off, or force them off."""
    batch = claimed_clones(handle, CloneState.STOPPING)
    if handle.params.get("force"):
        _each(handle, batch, domains.force_off, CloneState.STOPPED, CloneState.RUNNING)
    elif batch:
        _shut_down(handle, batch, CloneState.STOPPED)
    _delete_stopped_volatile(handle)


def restart(handle: Handle) -> None:
    """Shut the batch's guests down and start those that are off again; the others run on, and are named.

    A clone that is off is starting from then on, never stopped: no check deletes a volatile one in between, and an
    attempt that takes this up again knows how far each has come.
    """
    problems: list[Message] = []
    try:
        if batch := claimed_clones(handle, CloneState.STOPPING):
            _shut_down(handle, batch, CloneState.STARTING)
    except Conflict as error:
        problems.append(error.message)
    try:
        start(handle)
    except Conflict as error:
        problems.append(error.message)
    if problems:
        raise Conflict(sentences(*problems))


def _each(
    handle: Handle, batch: Sequence[Clone], act: "domains.Act", reached: CloneState, otherwise: CloneState
) -> None:
    """Do one thing to each domain over one connection, and write each one's outcome as it comes."""
    failures: list[Message] = []
    each = [(clone.id, clone.uuid, clone.name) for clone in batch]
    if not each:
        return
    with endpoints.connect(batch[0].node) as connection:
        for done, (clone_id, clone_uuid, name) in enumerate(each, start=1):
            handle.check()
            give_way(handle)
            if not still_ours(handle, clone_id):
                continue
            try:
                display = act(connection, clone_uuid) or ""
            except HypervisorError as error:
                failures.append(message("clones.failure_of", clone=name, why=error.message))
                set_state(handle, [clone_id], otherwise, error.message)
            else:
                set_state(handle, [clone_id], reached, display=display)
            handle.progress(100 * done / len(each))
    if failures:
        raise Conflict(message("clones.failures", failed_clauses=failures))


def _shut_down(handle: Handle, batch: Sequence[Clone], reached: CloneState) -> None:
    """Press each power button, and write who is off as it comes. Raises Conflict for those that stay on."""
    count, waiting = len(batch), {clone.uuid: clone.id for clone in batch}
    end = time.monotonic() + SHUT_DOWN_SECONDS
    with endpoints.connect(batch[0].node) as connection:
        for clone_uuid in waiting:
            domains.shut_down(connection, clone_uuid)
        while waiting and time.monotonic() < end:
            handle.check()
            states = domains.states(connection, list(waiting))
            off = [clone_uuid for clone_uuid in waiting if states.get(clone_uuid, "stopped") == "stopped"]
            if off:
                set_state(handle, [waiting.pop(clone_uuid) for clone_uuid in off], reached)
            handle.progress(100 * (1 - len(waiting) / count), message("clones.waiting_for_guests"))
            if waiting:
                time.sleep(POLL_SECONDS)
    if waiting:
        raise Conflict(message("clones.still_running", count=len(waiting), limit_seconds=SHUT_DOWN_SECONDS))


def _delete_stopped_volatile(handle: Handle) -> None:
    with transaction() as session:
        query = select(Clone).where(
            Clone.operation_id == handle.operation_id, Clone.volatile, Clone.state == CloneState.STOPPED
        )
        ended = session.scalars(query.options(joinedload(Clone.node))).all()
        if ended:
            clone_actions.delete_volatile(session, ended[0].node, [clone.id for clone in ended])
