"""Requests for clones: check, place all at once, write the rows, queue a job per node and batch."""

import re
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

from sqlalchemy import Select, insert, select, update
from sqlalchemy.orm import Session

from ravada_web.config import settings
from ravada_web.errors import InvalidInput
from ravada_web.messages import Message, message
from ravada_web.messages.placement import shortage
from ravada_web.models import AllowedNode, Base, BaseVersion, Clone, CloneNic, Decision, Node, User
from ravada_web.services.audit import events
from ravada_web.services.batches import grouped_batches, taking_turns
from ravada_web.services.clones import remains, second_look
from ravada_web.services.clones.errors import NoNodeAllowed, NoRoom
from ravada_web.services.clones.waves import LARGEST_WAVE
from ravada_web.services.operations import outbox
from ravada_web.services.operations import requests as operation_requests
from ravada_web.services.people import quotas, users
from ravada_web.services.permissions import rights, scopes
from ravada_web.services.placements import choice as placement_choice
from ravada_web.services.transaction import hold_lock, transaction

PREFIX = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")
# The prefix that QEMU and libvirt use for guests' MAC addresses; the other three bytes are drawn.
MAC_PREFIX = "52:54:00"
# The parameter of a creation that starts by itself what is to run.
STARTS = "starts"


@dataclass(frozen=True)
class Request:
    """A request for clones, from a form or the command line."""

    base_id: int
    count: int
    prefix: str
    owner: str
    volatile: bool = False
    start_after: bool = False


def request_clones(actor: User, request: Request) -> Decision:
    """Create clones: when this returns their rows, names, addresses and nodes are written, and their disks queued.

    All of the request is placed in one go, under one lock, in the transaction that writes the rows: two requests at
    once never count the same room. Raises InvalidInput, NoNodeAllowed, NoRoom when not all of it fits, or Conflict
    where it would exceed the owner's quota; then nothing was written.
    """
    rights.require(actor, "clones.create")
    outbox.require_queue()
    return second_look.persuaded(lambda: _request(actor, request))


def _request(actor: User, request: Request) -> Decision:
    with transaction() as session:
        known = select(Base.id).where(Base.id == request.base_id, scopes.bases(actor))
        if session.scalar(known) is None:
            raise InvalidInput({"base_id": _no_base()})
        return place_and_write(session, actor, request, scopes.nodes_for_clones_of(actor, request.base_id))


def place_and_write(session: Session, actor: User, request: Request, among: Select[int] | None = None) -> Decision:
    """What `request_clones` does after the check of rights, in the caller's transaction; raises as it does.

    `among` are the ids of the nodes that may be chosen, where not all are.
    """
    hold_lock(session, "placement")
    base, owner = _checked(session, actor, request)
    _require_within_quota(session, actor, owner, base, request)
    version = _version(session, base)
    choice = placement_choice.choose(
        session, base, version, request.count, request.start_after, among, volatile=request.volatile
    )
    if not choice.complete:
        raise NoRoom(shortage(choice.requested, choice.fits, choice.verdicts), choice)
    decision = placement_choice.record(session, base, actor, choice)
    rows = _write(session, request, owner, version, decision, choice.placed)
    queue_creation(session, actor, base, rows, awaited=len(rows) == 1)
    text = message("clones.requested_for", count=request.count, owner=owner.name)
    events.record(session, actor, "clone", base, text)
    return decision


def _checked(session: Session, actor: User, request: Request) -> tuple[Base, User]:
    wrong = {}
    most = settings().clones_per_request
    base = session.get(Base, request.base_id)
    owner = users.find(request.owner)
    if not 1 <= request.count <= most:
        wrong["count"] = message("clones.count_range", most=most)
    if not PREFIX.fullmatch(request.prefix):
        wrong["prefix"] = message("clones.prefix_malformed")
    if base is None or base.current is None:
        wrong["base_id"] = _no_base()
    # One whom the actor may not know of is as one who does not exist.
    if owner is None or not owner.active or not users.knows(actor, owner.id):
        wrong["owner"] = message("clones.no_active_user")
    if wrong or base is None or owner is None:
        raise InvalidInput(wrong)
    return base, owner


def _no_base() -> Message:
    return message("clones.base_not_prepared")


def _require_within_quota(session: Session, actor: User, owner: User, base: Base, request: Request) -> None:
    """Quotas do not bind those who may control all clones. Raises Conflict."""
    if not rights.can(actor, "clones.control_all"):
        starting = request.count if request.start_after else 0
        memory = starting * base.memory_mib
        quotas.require(session, owner, new_clones=request.count, starting=starting, memory_mib=memory, actor=actor)


def _version(session: Session, base: Base) -> BaseVersion:
    if session.scalar(select(AllowedNode.node_id).where(AllowedNode.base_id == base.id).limit(1)) is None:
        text = message("clones.no_node_allowed", base=base.name)
        raise NoNodeAllowed(text, base.id)
    version = base.current
    assert version is not None, "checked above"
    return version


def _write(
    session: Session,
    request: Request,
    owner: User,
    version: BaseVersion,
    decision: Decision,
    placed: Sequence[int],
) -> list[tuple[int, int]]:
    """Write the clones' rows in bulk, in the order of their numbers; returns each one's id and its node's."""
    names = free_names(session, request.prefix, request.count)
    rounds = dict(session.execute(select(Node.id, Node.rounds_begun).where(Node.id.in_(placed))).all())
    rows = [
        {
            "name": name,
            "uuid": str(uuid.uuid4()),
            "base_id": version.base_id,
            "version_id": version.id,
            "node_id": node_id,
            "owner_id": owner.id,
            "decision_id": decision.id,
            "volatile": request.volatile,
            "memory_mib": version.base.memory_mib,
            "start_after": request.start_after,
            "made_round": rounds[node_id],
            "changed_round": rounds[node_id],
        }
        for name, node_id in zip(names, placed, strict=True)
    ]
    ids = session.scalars(insert(Clone).returning(Clone.id, sort_by_parameter_order=True), rows).all()
    give_cards(session, ids, version.base.nics)
    return list(zip(ids, placed, strict=True))


def give_cards(session: Session, clone_ids: Sequence[int], count: int) -> None:
    """Write so many network cards for each of these clones, with addresses that none has."""
    macs = iter(free_macs(session, count * len(clone_ids)))
    cards = [
        {"clone_id": clone_id, "position": position, "mac": next(macs)}
        for clone_id in clone_ids
        for position in range(count)
    ]
    if cards:
        session.execute(insert(CloneNic), cards)


def free_names(session: Session, prefix: str, count: int) -> list[str]:
    """The next `count` names `prefix-N` after the highest number that is in use."""
    taken = session.scalars(select(Clone.name).where(Clone.name.startswith(f"{prefix}-", autoescape=True)))
    numbers = [int(tail) for name in taken if (tail := name[len(prefix) + 1 :]).isdecimal()]
    first = max(numbers, default=0) + 1
    return [f"{prefix}-{number}" for number in range(first, first + count)]


def free_macs(session: Session, count: int) -> list[str]:
    """As many MAC addresses that no clone of the cluster has, nor anything that one has left."""
    fresh: list[str] = []
    left = remains.macs(session)
    while len(fresh) < count:
        candidates = {_mac() for _number in range(count - len(fresh))} - set(fresh) - left
        used = set(session.scalars(select(CloneNic.mac).where(CloneNic.mac.in_(candidates))))
        fresh.extend(candidates - used)
    return fresh


def _mac() -> str:
    return ":".join([MAC_PREFIX, *(f"{byte:02x}" for byte in secrets.token_bytes(3))])


def queue_creation(
    session: Session,
    actor: User | None,
    base: Base,
    placed: Sequence[tuple[int, int]],
    *,
    awaited: bool,
    starts: bool = False,
) -> None:
    """Have these clones made, each given with its node: one operation for each node and up to `clone_batch` clones, the
    nodes in turns; the rows refer to it. `starts`: it starts those that are to run by itself, as soon as they are made,
    and is no larger than a wave; else that is the work of waves that come after it."""
    most = settings().clone_batch
    size = min(most, LARGEST_WAVE) if starts else most
    for node_id, batch in taking_turns(grouped_batches(placed, itemgetter(1), size)):
        node = session.get_one(Node, node_id)
        title = message("clones.title_create", count=len(batch), base=base.name, node=node.name)
        operation = operation_requests.request(
            session,
            "clones_create",
            title,
            actor=actor,
            node=node,
            base_id=base.id,
            params={STARTS: True} if starts else {},
            awaited=awaited,
            items=len(batch),
        )
        assign(session, operation.id, [clone_id for clone_id, _node_id in batch])


def assign(session: Session, operation_id: int, clone_ids: Sequence[int]) -> None:
    """Make these clones the operation's."""
    session.execute(update(Clone).where(Clone.id.in_(clone_ids)).values(operation_id=operation_id))
