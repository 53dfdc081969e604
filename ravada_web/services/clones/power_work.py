"""Starting, stopping and restarting a batch of clones on its node. Asking a guest to shut down is all that a job does:
`shutdown_watch` sees that it is off."""

from collections.abc import Sequence
from functools import partial

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from ravada_web.errors import Conflict
from ravada_web.guard import guarded
from ravada_web.hypervisor import displays, domains
from ravada_web.messages import Message, message, sentences
from ravada_web.models import Clone, CloneState
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones import base_files, promises, shutdowns
from ravada_web.services.clones.batch import claimed_clones, set_state, still_ours
from ravada_web.services.clones.waves import give_way
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations.execution import Handle


def start(handle: Handle) -> None:
    """Start each clone of the batch; one that cannot start does not keep the others from it."""
    batch, problems = base_files.set_aside(handle, claimed_clones(handle, CloneState.STARTING))
    batch, too_many = promises.set_aside(handle, batch)
    problems += too_many
    address = endpoints.display_address(batch[0].node) if batch else ""
    act = partial(displays.start, address=address)
    try:
        _each(handle, batch, act, CloneState.RUNNING, CloneState.STOPPED)
    except Conflict as error:
        problems += [error.message, *base_files.after_failed_starts(handle)]
    if problems:
        raise Conflict(sentences(*problems))


def stop(handle: Handle) -> None:
    """Ask the batch's guests to shut down, or force them off."""
    batch = claimed_clones(handle, CloneState.STOPPING)
    if handle.params.get("force"):
        _each(handle, batch, domains.force_off, CloneState.STOPPED, CloneState.RUNNING)
        _delete_stopped_volatile(handle)
    else:
        _ask(handle, batch)


def restart(handle: Handle) -> None:
    """Ask the batch's guests to shut down; each is started when it was seen off."""
    _ask(handle, claimed_clones(handle, CloneState.STOPPING))


def _ask(handle: Handle, batch: Sequence[Clone]) -> None:
    """Press each power button; whether the guests obey is watched from then on, and nobody waits for them."""
    uuids = [clone.uuid for clone in batch]
    if not uuids:
        return
    with endpoints.connect(batch[0].node) as connection:
        unpressed = domains.shut_down_all(connection, uuids)
    with handle.writing() as session:
        shutdowns.explain_unpressed(session, handle.operation_id, unpressed)
    handle.result |= {"asked": len(uuids), "off": 0}
    handle.watched_until = shutdowns.deadline()


def _each(
    handle: Handle, batch: Sequence[Clone], act: "domains.Act", reached: CloneState, otherwise: CloneState
) -> None:
    """Do one thing to each domain over one connection, and write each one's outcome as it comes."""
    failures: list[Message] = []
    each = [(clone.id, clone.uuid, clone.name, CloneState(clone.state_before or otherwise)) for clone in batch]
    if not each:
        return
    with endpoints.connect(batch[0].node) as connection:
        for done, (clone_id, clone_uuid, name, before) in enumerate(each, start=1):
            handle.check()
            give_way(handle)
            if not still_ours(handle, clone_id):
                continue
            why: list[Message] = []
            display = ""
            with guarded(why.append, clone=clone_id):
                display = act(connection, clone_uuid) or ""
            if why:
                failures.append(message("clones.failure_of", clone=name, why=why[0]))
                set_state(handle, [clone_id], before, why[0])
            else:
                set_state(handle, [clone_id], reached, display=display)
            handle.progress(100 * done / len(each))
    if failures:
        raise Conflict(message("clones.failures", failed_clauses=failures))


def _delete_stopped_volatile(handle: Handle) -> None:
    with handle.writing() as session:
        query = select(Clone).where(
            Clone.operation_id == handle.operation_id, Clone.volatile, Clone.state == CloneState.STOPPED
        )
        ended = session.scalars(query.options(joinedload(Clone.node))).all()
        if ended:
            clone_actions.delete_volatile(session, ended[0].node, [clone.id for clone in ended])
