"""Looking for orphans: what is ours on a node and known by no row is written down, and forgotten once it is gone."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import Any

import structlog
from sqlalchemy import insert, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from ravada_web.extensions import db
from ravada_web.guard import guarded
from ravada_web.messages import NOTHING, Message, message
from ravada_web.models import (
    OVER,
    UNDECIDED,
    BaseVersion,
    Cause,
    Clone,
    Event,
    Node,
    Operation,
    Remains,
    RemainsKind,
    Replica,
    User,
    name_key,
)
from ravada_web.remote.files import FileDated
from ravada_web.services.batches import batched
from ravada_web.services.lifecycle.orphan_survey import Known, Question, Seen, Thing, Version, key_of, survey
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations.execution import Handle
from ravada_web.services.transaction import transaction

log = structlog.get_logger()
AT_ONCE = 10
# So many values in one query.
A_QUERY = 500


def look(handle: Handle) -> None:
    """Look at one node. Raises what an absent node raises."""
    question = _question(db.session(), db.session.get_one(Node, handle.node_id))
    db.session.rollback()
    seen = survey(question)
    with handle.writing() as session:
        handle.result |= {"orphans": store(session, question, seen)}


def look_at_nodes(node_ids: Collection[int]) -> None:
    """Look at many nodes, a few at a time; one that does not answer is passed over: what is listed of it stays."""
    questions: list[Question] = []
    for node in db.session.scalars(select(Node).where(Node.id.in_(node_ids))).all():
        with guarded(partial(_pass_over, node.name), node=node.name):
            if node.is_reachable:
                questions.append(_question(db.session(), node))
    db.session.rollback()
    with ThreadPoolExecutor(AT_ONCE) as threads:
        for question, future in [(question, threads.submit(survey, question)) for question in questions]:
            with guarded(partial(_pass_over, question.target.name), node=question.target.name):
                seen = future.result()
                with transaction() as session:
                    store(session, question, seen)


def _pass_over(node: str, reason: Message) -> None:
    log.info("not looked for orphans", node=node, error=reason.to_json())


def _question(session: Session, node: Node) -> Question:
    folders = tuple(sorted({pool.path for pool in node.pools if pool.active}))
    here = session.execute(select(Clone.name, Clone.uuid).where(Clone.node_id == node.id)).all()
    where = endpoints.target(node)
    return Question(endpoints.workspace(), where, endpoints.libvirt_uri(where), folders, _known(session, node.id, here))


def _known(session: Session, node_id: int, clones: Iterable[Sequence[str]]) -> Known:
    """What the rows know of the node; `clones` are the names and UUIDs of those that matter."""
    pairs = [(name, uuid) for name, uuid in clones]
    kept = select(Remains.uuid, Remains.files).where(Remains.node_id == node_id, Remains.cause != Cause.UNKNOWN)
    left = session.execute(kept).all()
    copies = select(BaseVersion.base_id, BaseVersion.number).join(Replica).where(Replica.node_id == node_id)
    return Known(
        uuids=frozenset([uuid for _name, uuid in pairs] + [uuid for uuid, _paths in left if uuid]),
        stems=frozenset(f"{name}.{uuid[:8]}" for name, uuid in pairs),
        paths=frozenset(path for _uuid, paths in left for path in paths),
        versions=frozenset((base_id, number) for base_id, number in session.execute(copies)),
    )


def store(session: Session, question: Question, seen: Seen) -> int:
    """Write down what no row knows by now, how it is, and which of it was ignored and has changed. Returns how many
    there are."""
    node_id = question.target.node_id
    orphans = {thing.key: thing for thing in _unknown(session, node_id, seen.things)}
    here = select(Remains).where(Remains.node_id == node_id, Remains.cause.in_(UNDECIDED))
    rows = {key_of(row.uuid, row.files): row for row in session.scalars(here)}
    for key, row in list(rows.items()):
        if row.cause != Cause.UNKNOWN:
            figures = _figures([seen.files[path] for path in row.files if path in seen.files])
            row.size, row.written_at = figures["size"], figures["written_at"]
        elif key not in orphans:
            session.delete(rows.pop(key))
    session.flush()
    for key, row in rows.items():
        if key in orphans:
            _compare(row, orphans[key])
    fresh = _described(session, node_id, [thing for key, thing in orphans.items() if key not in rows])
    if fresh:
        session.execute(insert(Remains), fresh)
    return len(orphans)


def _compare(row: Remains, thing: Thing) -> None:
    """Write how it is now; one that was ignored and has changed is listed again."""
    row.dismissed = row.dismissed and row.stamp == thing.stamp
    for name, value in _seen(thing).items():
        setattr(row, name, value)


def _seen(thing: Thing) -> dict[str, Any]:
    """How it is now, as its row has it."""
    figures = _figures(thing.files)
    return figures | {"files": thing.paths, "runs": bool(thing.domain and thing.domain.runs), "stamp": thing.stamp}


def _figures(files: Collection[FileDated]) -> dict[str, Any]:
    written = datetime.fromtimestamp(max(file.written for file in files), UTC) if files else None
    return {"size": sum(file.allocated for file in files), "written_at": written}


def _matching(session: Session, column: InstrumentedAttribute[Any], values: Iterable[object], *of: Any) -> list[Any]:
    """The rows (of these columns) where the column has one of the values, some hundred values in one query."""
    wanted = sorted(set(values), key=str)
    query = select(*of)
    return [row for some in batched(wanted, A_QUERY) for row in session.execute(query.where(column.in_(some)))]


def _unknown(session: Session, node_id: int, things: Sequence[Thing]) -> list[Thing]:
    """Those that no row knows: neither this node's nor, of machines and clones' files, another one's; without the files
    of bases that something needs, and of operations that account for theirs."""
    uuids = [thing.domain.uuid for thing in things if thing.domain]
    clones = _matching(session, Clone.name, [thing.name for thing in things], Clone.name, Clone.uuid)
    clones += _matching(session, Clone.uuid, uuids, Clone.name, Clone.uuid)
    known = _known(session, node_id, clones)
    left = _matching(session, Remains.uuid, uuids, Remains.uuid, Remains.node_id)
    elsewhere = {uuid for uuid, node in left if node != node_id}
    kept = [
        thing
        for thing in things
        if not known.has(thing)
        and not known.paths.intersection(thing.paths)
        and not (thing.domain and thing.domain.uuid in elsewhere)
    ]
    needed = _needed(session, node_id, kept)
    own = [thing.own.id for thing in kept if thing.own]
    operations = _matching(session, Operation.base_id, own, Operation.base_id, Operation.state)
    busy = {id_ for id_, state in operations if state not in OVER}
    accounted = {id_ for (id_,) in _matching(session, Operation.id, own, Operation.id)}
    return [thing for thing in kept if not _is_held(thing, needed, busy, accounted)]


def _is_held(thing: Thing, needed: set[Version], busy: set[int], accounted: set[int]) -> bool:
    own = thing.own
    if own is None:
        return False
    if thing.kind == RemainsKind.BASE_FILES:
        return own.version in needed or own.id in busy
    return thing.kind == RemainsKind.UNFINISHED and own.id in accounted


def _needed(session: Session, node_id: int, things: Iterable[Thing]) -> set[Version]:
    """The versions of bases that these stand on, and what is left on the node besides."""
    left = select(BaseVersion.base_id, BaseVersion.number).join(Remains).where(Remains.node_id == node_id)
    return {version for thing in things for version in thing.stands_on} | {(a, b) for a, b in session.execute(left)}


def _described(session: Session, node_id: int, things: Sequence[Thing]) -> list[dict[str, Any]]:
    """The values of their rows, with what each once was as far as it is known."""
    versions, owners = _versions(session, things), _owners(session, things)
    deleted = _deletions(session, [thing.name for thing in things])
    return [
        _seen(thing)
        | _was(thing, versions, owners)
        | {
            "node_id": node_id,
            "kind": thing.kind,
            "uuid": thing.domain.uuid if thing.domain else None,
            "name": thing.name,
            "macs": list(thing.domain.macs) if thing.domain else [],
            "cause": Cause.UNKNOWN,
            "reason": deleted.get(thing.name, NOTHING),
        }
        for thing in things
    ]


def _was(thing: Thing, versions: Mapping[int | Version, BaseVersion], owners: Mapping[str, int]) -> dict[str, Any]:
    """Of what base it was, and whose: by its mark, or by what its disks stand on."""
    mark = thing.domain.mark if thing.domain else None
    known: list[int | Version] = [mark.version] if mark else []
    version = next((versions[one] for one in [*known, *_named_versions(thing)] if one in versions), None)
    return {
        "version_id": version.id if version and thing.kind != RemainsKind.BASE_FILES else None,
        "base_name": mark.base if mark else version.base.name if version else "",
        "owner_id": owners.get(name_key(mark.owner)) if mark else None,
        "owner_name": mark.owner if mark else "",
        "volatile": bool(mark and mark.volatile),
    }


def _named_versions(thing: Thing) -> list[Version]:
    own = thing.own.version if thing.own else None
    return sorted(thing.stands_on) or ([own] if own else [])


def _versions(session: Session, things: Sequence[Thing]) -> dict[int | Version, BaseVersion]:
    """The versions that they may be of, by id, and by the base's id and their number."""
    marked = [thing.domain.mark.version for thing in things if thing.domain and thing.domain.mark]
    ids = [base_id for thing in things for base_id, _number in _named_versions(thing)]
    found: dict[int | Version, BaseVersion] = {}
    for column, values in ((BaseVersion.id, marked), (BaseVersion.base_id, ids)):
        for (row,) in _matching(session, column, values, BaseVersion):
            found |= {row.id: row, (row.base_id, row.number): row}
    return found


def _owners(session: Session, things: Sequence[Thing]) -> dict[str, int]:
    """The ids of those who are named as owners, by the keys of their names."""
    keys = [name_key(thing.domain.mark.owner) for thing in things if thing.domain and thing.domain.mark]
    return dict(_matching(session, User.name_key, keys, User.name_key, User.id))


def _deletions(session: Session, names: Sequence[str]) -> dict[str, Message]:
    """When a desktop of that name was deleted last, and by whom, as the audit log has it."""
    said = select(Event).where(Event.object_kind == "clone", Event.action == "delete").order_by(Event.id)
    some_names = batched(sorted(set(names)), A_QUERY)
    lines = [line for some in some_names for line in session.scalars(said.where(Event.object_name.in_(some)))]
    return {line.object_name: message("nodes.deleted_by", actor=line.actor, deleted_at=line.at) for line in lines}
