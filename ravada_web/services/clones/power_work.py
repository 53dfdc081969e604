"""Starting, stopping and restarting a batch of clones on its node. Asking a guest to shut down is all that a job does:
`shutdown_watch` sees that it is off."""

import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial

import libvirt
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from ravada_web.errors import Conflict
from ravada_web.guard import guarded
from ravada_web.hypervisor import displays, domains
from ravada_web.messages import NOTHING, Message, message, sentences
from ravada_web.models import Clone, CloneState
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones import base_files, promises, shutdowns
from ravada_web.services.clones.batch import claimed_clones, set_state, still_ours
from ravada_web.services.clones.waves import give_way, side_by_side
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations.execution import Handle


def start(handle: Handle) -> None:
    """Start each clone of the batch; one that cannot start does not keep the others from it."""
    batch, problems = base_files.set_aside(handle, claimed_clones(handle, CloneState.STARTING))
    batch, too_many = promises.set_aside(handle, batch)
    problems += too_many
    address = endpoints.display_address(batch[0].node) if batch else ""
    at_once = side_by_side(batch[0].node) if batch else 1
    act = partial(displays.start, address=address)
    try:
        _each(handle, batch, act, CloneState.RUNNING, CloneState.STOPPED, at_once)
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
        ask(handle, batch)


def restart(handle: Handle) -> None:
    """Ask the batch's guests to shut down; each is started when it was seen off."""
    ask(handle, claimed_clones(handle, CloneState.STOPPING))


def ask(handle: Handle, batch: Sequence[Clone]) -> None:
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


@dataclass(frozen=True)
class _One:
    """A clone of a batch; `before` is what it is again where it cannot be done."""

    id: int
    uuid: str
    name: str
    before: CloneState


def _each(
    handle: Handle,
    batch: Sequence[Clone],
    act: "domains.Act",
    reached: CloneState,
    otherwise: CloneState,
    at_once: int = 1,
) -> None:
    """Do one thing to each domain over one connection, so many at a time, and write each one's outcome as it comes.
    What is begun is seen to its end, also where the operation is cancelled."""
    each = [_One(clone.id, clone.uuid, clone.name, CloneState(clone.state_before or otherwise)) for clone in batch]
    if not each:
        return
    outcomes = _Outcomes(handle, reached, len(each))
    with endpoints.connect(batch[0].node) as connection, ThreadPoolExecutor(at_once) as threads:
        try:
            for one in each:
                handle.check()
                give_way(handle, outcomes.pass_time)
                if still_ours(handle, one.id):
                    outcomes.await_one(threads.submit(_try, act, connection, one), one, at_once)
        finally:
            outcomes.await_all()
    if outcomes.failures:
        raise Conflict(message("clones.failures", failed_clauses=outcomes.failures))


def _try(act: "domains.Act", connection: libvirt.virConnect, one: _One) -> tuple[Message | None, str]:
    """Returns why it cannot be done, if so, and the display that it has then."""
    why: list[Message] = []
    display = ""
    with guarded(why.append, clone=one.id):
        display = act(connection, one.uuid) or ""
    return (why[0] if why else None), display


class _Outcomes:
    """What becomes of each clone of a batch, written as it comes."""

    def __init__(self, handle: Handle, reached: CloneState, count: int) -> None:
        self._handle, self._reached, self._count = handle, reached, count
        self._doing: dict[Future[tuple[Message | None, str]], _One] = {}
        self._done = 0
        self.failures: list[Message] = []

    def await_one(self, future: Future[tuple[Message | None, str]], one: _One, at_once: int) -> None:
        """One more is being done; where that makes so many, wait until one of them is."""
        self._doing[future] = one
        if len(self._doing) >= at_once:
            self._write_next()

    def pass_time(self, seconds: float) -> None:
        """Let so much time pass, or less where something is done by then."""
        if self._doing:
            self._write_next(seconds)
        else:
            time.sleep(seconds)

    def await_all(self) -> None:
        """Wait until all that was begun is done."""
        while self._doing:
            self._write_next()

    def _write_next(self, within: float | None = None) -> None:
        done, _left = wait(self._doing, within, FIRST_COMPLETED)
        for future in done:
            one = self._doing.pop(future)
            why, display = future.result()
            if why:
                self.failures.append(message("clones.failure_of", clone=one.name, why=why))
            self._done += 1
            set_state(self._handle, [one.id], one.before if why else self._reached, why or NOTHING, display)
        self._handle.progress(100 * self._done / self._count)


def _delete_stopped_volatile(handle: Handle) -> None:
    with handle.writing() as session:
        query = select(Clone).where(
            Clone.operation_id == handle.operation_id, Clone.volatile, Clone.state == CloneState.STOPPED
        )
        ended = session.scalars(query.options(joinedload(Clone.node))).all()
        if ended:
            clone_actions.delete_volatile(session, ended[0].node, [clone.id for clone in ended])
