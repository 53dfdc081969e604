"""A node that returns: what must not live again there is ended and removed. Safe to do again from the start, wherever
it was interrupted."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import libvirt
from sqlalchemy import delete, update

from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.guard import guarded
from ravada_web.hypervisor import domains, marks
from ravada_web.messages import Message, message, sentences
from ravada_web.models import Cause, Node, Remains
from ravada_web.remote import files, passage
from ravada_web.remote.errors import CommandFailed
from ravada_web.remote.target import Target
from ravada_web.services.audit import events
from ravada_web.services.clones import remains
from ravada_web.services.clones.batch import AWAY
from ravada_web.services.clones.outcomes import by_reason
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations.execution import Handle
from ravada_web.services.storage import usage


@dataclass(frozen=True)
class _Left:
    """What is left of one clone."""

    id: int
    uuid: str | None
    name: str
    files: tuple[str, ...]


def reconcile(handle: Handle) -> None:
    """Cut the power of every domain that must not live again on the node, remove its definition, then its files, then
    the note of it. One that cannot be removed keeps no other from it, and is tried again later. Raises Conflict that
    names those, and what an absent node raises."""
    assert handle.node_id is not None
    rows = remains.doomed_on([handle.node_id]).get(handle.node_id, [])
    node = db.session.get_one(Node, handle.node_id)
    where = endpoints.target(node)
    left = [_Left(row.id, row.uuid, row.name, tuple(row.files)) for row in rows]
    failures: dict[int, Message] = {}
    with endpoints.connect(node) as connection:
        handle.check()
        domains.end_all(connection, [one.uuid for one in left if one.uuid])
        for one in left:
            if one.uuid is not None:
                handle.check()
                with guarded(partial(failures.__setitem__, one.id), AWAY, remains=one.id):
                    domains.force_off(connection, one.uuid)
                    domains.undefine(connection, one.uuid)
        failures |= _taken(connection, handle.node_id, [one for one in left if one.uuid is None])
    if not any(one.uuid for one in left if one.id in failures):
        with handle.writing() as session:
            session.execute(update(Node).where(Node.id == handle.node_id).values(returning=False))
    handle.check()
    _remove_files(handle, where, [one for one in left if one.id not in failures], failures)
    moved = [row.uuid for row in rows if row.uuid and row.cause == Cause.MOVED]
    with suppress(CommandFailed):  # an empty folder does no harm, and goes with the host's next start
        passage.remove_rooms(endpoints.workspace(), where, moved)
    _write(handle, left, failures)


def _taken(connection: libvirt.virConnect, node_id: int, left: Sequence[_Left]) -> dict[int, Message]:
    """Why files without a machine of their own stay: a machine uses them, or they are a base's or a desktop's again."""
    if not left:
        return {}
    used, owners, why = marks.used_files(connection), usage.owners_on(node_id), {}
    db.session.rollback()
    for one in left:
        for path in one.files:
            if path in used:
                why[one.id] = message("nodes.file_in_use", path=path, name=used[path])
            elif path in owners:
                why[one.id] = message("nodes.file_in_use", path=path, name=owners[path].name)
    return why


def _remove_files(handle: Handle, where: Target, left: Sequence[_Left], failures: dict[int, Message]) -> None:
    """Remove the files at once; where one cannot go, each one's alone."""
    try:
        files.remove_files(endpoints.workspace(), where, [path for one in left for path in one.files])
    except CommandFailed:
        for one in left:
            handle.check()
            with guarded(partial(failures.__setitem__, one.id), AWAY, remains=one.id):
                files.remove_files(endpoints.workspace(), where, one.files)


def _write(handle: Handle, left: Sequence[_Left], failures: dict[int, Message]) -> None:
    """Forget what is gone, and say of the rest why it is not."""
    gone = [one.id for one in left if one.id not in failures]
    with handle.writing() as session:
        session.execute(delete(Remains).where(Remains.id.in_(gone)))
        for id_, why in failures.items():
            session.execute(update(Remains).where(Remains.id == id_).values(reason=why))
        if gone:
            node = session.get_one(Node, handle.node_id)
            events.record(session, None, "returned", node, message("nodes.removed_remains", count=len(gone)))
    if failures:
        names = {one.id: one.name for one in left}
        alike = by_reason([(names[id_], why) for id_, why in failures.items()])
        raise Conflict(sentences(message("clones.some_failed", failed=len(failures), count=len(left)), *alike))
