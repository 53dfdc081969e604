"""What uses a node's pools: every file is a base's, a clone's, an orphan of ours, or somebody else's; biggest first."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload, selectinload

from ravada_web.clock import not_recent
from ravada_web.extensions import db, queues
from ravada_web.guard import guarded
from ravada_web.messages import Message, message
from ravada_web.models import BaseVersion, Clone, Node, Operation, Pool, Replica, User, now
from ravada_web.remote.files import FileSeen, list_tree
from ravada_web.remote.target import Target, Workspace
from ravada_web.services.batches import batched
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations import outbox
from ravada_web.services.operations.execution import Handle
from ravada_web.services.operations.requests import request
from ravada_web.services.permissions import rights
from ravada_web.services.storage import leftovers, pools
from ravada_web.services.storage.file_names import named, template_name
from ravada_web.services.transaction import transaction

log = structlog.get_logger()
MIB = 1 << 20
AT_ONCE = 10
KINDS = ("base", "clone", "orphan", "other")
BIGGEST = 40
COUNT_SECONDS = 60.0
# A count holds for so long: listing a pool of thousands of files is a second's work for its node.
COUNTED_SECONDS = 600.0
# So many nodes are worth a job of their own.
A_JOB = 50


@dataclass(frozen=True)
class Owner:
    """Whose a file is: its kind, a name and an id of the row, and how large it may become (bytes)."""

    kind: str
    name: str
    id: int
    virtual_size: int = 0


def request_count(actor: User, node: Node) -> Operation:
    """Request a count of the node's pools. Raises Conflict where the queue is away."""
    rights.require(actor, "nodes.see")
    outbox.require_queue()
    with transaction() as session:
        title = message("storage.scan_pools", node=node.name)
        return request(session, "pools_count", title, actor=actor, node=node)


def count(handle: Handle) -> None:
    """The job's part. Raises RemoteError where the node does not list its files."""
    node = db.session.get_one(Node, handle.node_id)
    question = _question(node)
    db.session.rollback()
    found = _listed(question, endpoints.workspace())
    with handle.writing() as session:
        _store(session, question, found)


def due() -> list[Sequence[int]]:
    """Returns the ids of nodes that are up and have a pool that was not counted for long, those of one job together.

    Each is returned once in that time: one whose files cannot be listed is not tried again and again.
    """
    old = not_recent(Pool.counted_at, timedelta(seconds=COUNTED_SECONDS))
    query = select(Node.id).where(Node.is_reachable, Node.pools.any(Pool.active & old)).order_by(Node.id)
    node_ids = [
        node_id
        for node_id in db.session.scalars(query)
        if queues.redis.set(f"ravada:counting:{node_id}", 1, nx=True, ex=int(COUNTED_SECONDS))
    ]
    return list(batched(node_ids, A_JOB))


def count_nodes(node_ids: Sequence[int]) -> None:
    """Count many nodes, a few at a time; one that does not answer is passed over, its last count stays."""
    workspace, questions = endpoints.workspace(), _questions(node_ids)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        futures = {threads.submit(_listed, question, workspace): question for question in questions}
        for listing in as_completed(futures):
            name = futures[listing].target.name
            with guarded(partial(_not_counted, name), node=name):
                seen = listing.result()
                with transaction() as session:
                    _store(session, futures[listing], seen)
                if any(".op-" in file.path for file in seen):
                    leftovers.sweep(futures[listing].target, list(futures[listing].folders.values()))


def _not_counted(node: str, reason: Message) -> None:
    """The last count stays, and says how old it is."""
    log.info("pools not counted", node=node, error=reason.to_json())


@dataclass(frozen=True)
class Question:
    """What a count needs of a node: its target, and the folders of its active pools by the pools' ids."""

    target: Target
    folders: Mapping[int, str]


def _questions(node_ids: Sequence[int]) -> list[Question]:
    nodes = db.session.scalars(select(Node).where(Node.id.in_(node_ids))).all()
    questions: list[Question] = []
    for node in nodes:
        with guarded(partial(_not_counted, node.name), node=node.name):
            questions.append(_question(node))
    db.session.rollback()
    return questions


def _question(node: Node) -> Question:
    return Question(endpoints.target(node), {pool.id: pool.path for pool in node.pools if pool.active})


def _listed(question: Question, workspace: Workspace) -> list[FileSeen]:
    return list_tree(workspace, question.target, list(question.folders.values()), deadline=COUNT_SECONDS)


def _store(session: Session, question: Question, files: Sequence[FileSeen]) -> None:
    """Store with each pool whose the files are; a node or pool that is not there any more is passed over."""
    owners = owners_on(question.target.node_id)
    for pool in session.scalars(select(Pool).where(Pool.id.in_(question.folders))):
        folder = question.folders[pool.id].rstrip("/")
        inside = [file for file in files if file.path.startswith(f"{folder}/")]
        pool.usage, pool.counted_at = summed(inside, owners), now()


def owners_on(node_id: int) -> dict[str, Owner]:
    """Whose the files of the node are, by path: of bases from its replicas, of clones from their rows."""
    versions = joinedload(Replica.version)
    whole = (versions.joinedload(BaseVersion.base), versions.selectinload(BaseVersion.files))
    replicas = db.session.scalars(select(Replica).where(Replica.node_id == node_id).options(*whole)).all()
    owners: dict[str, Owner] = {}
    folders = {}
    for replica in replicas:
        folders[replica.version_id] = replica.directory
        for disk in replica.version.files:
            base = replica.version.base
            path = pools.in_pool(replica.directory, disk.file_name)
            owner = Owner("base", f"{base.name} v{replica.version.number}", base.id)
            owners[path] = owners[pools.in_pool(replica.directory, template_name(disk))] = owner
    disks = joinedload(Clone.version).selectinload(BaseVersion.files)
    clones = db.session.scalars(select(Clone).where(Clone.node_id == node_id).options(disks, selectinload(Clone.nics)))
    for clone in clones:
        for disk in clone.version.files:
            path = pools.in_pool(folders.get(clone.version_id, ""), clone.own_file(disk))
            owners[path] = Owner("clone", clone.name, clone.id, disk.virtual_size)
    return owners


def summed(files: Iterable[FileSeen], owners: Mapping[str, Owner]) -> dict[str, Any]:
    """For each of KINDS {"count", "mib"}; the "biggest" files; and "growth_mib", what thin clones may still take."""
    kinds = {kind: {"count": 0, "mib": 0.0} for kind in KINDS}
    lines, growth = [], 0
    for file in files:
        owner = owners.get(file.path) or _stranger(file.path)
        kinds[owner.kind]["count"] += 1
        kinds[owner.kind]["mib"] += file.allocated / MIB
        growth += max(0, owner.virtual_size - file.allocated) if owner.kind == "clone" else 0
        lines.append({"kind": owner.kind, "name": owner.name, "id": owner.id, "path": _shown(file.path),
                      "mib": round(file.allocated / MIB, 1)})  # fmt: skip
    lines.sort(key=lambda line: -float(str(line["mib"])))
    rounded = {kind: {"count": int(sums["count"]), "mib": round(sums["mib"], 1)} for kind, sums in kinds.items()}
    return {"kinds": rounded, "biggest": lines[:BIGGEST], "growth_mib": growth // MIB}


def _stranger(path: str) -> Owner:
    return Owner("orphan" if named(path.rpartition("/")[2]) else "other", "", 0)


def _shown(path: str) -> str:
    """A path as it can be kept and shown: a file's name is any bytes that somebody chose."""
    return "".join(char if char.isprintable() else "�" for char in path)[:400]
