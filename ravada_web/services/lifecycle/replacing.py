"""Joining the host that answers at a node's address as a new one in the node's place: what the node is set to stays,
what stood on it is settled as gone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import case, delete, select, update
from sqlalchemy.orm import Session

from ravada_web.errors import Conflict, InvalidInput
from ravada_web.extensions import db
from ravada_web.messages import Message, message
from ravada_web.models import (
    AT_REST,
    ROUND_NOW,
    Access,
    AllowedNode,
    Away,
    Base,
    Cause,
    Clone,
    CloneState,
    Node,
    Observed,
    Operation,
    Remains,
    Replica,
    ReplicaState,
    ServiceState,
    Trust,
    User,
    now,
)
from ravada_web.services.audit import events
from ravada_web.services.joining import identification
from ravada_web.services.joining.recognition import MAY_TAKE_PLACE
from ravada_web.services.lifecycle import giving_up, originals
from ravada_web.services.lifecycle.giving_up import CHOICES, Standing
from ravada_web.services.lifecycle.held import held
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations import outbox
from ravada_web.services.operations import requests as operation_requests
from ravada_web.services.permissions import rights
from ravada_web.services.transaction import hold_lock, transaction

# What goes on though the node's former host is gone: its desktops are made again elsewhere.
_SPARED = ("clones_remake",)


@dataclass(frozen=True)
class Asked:
    """What an administrator has chosen. `volatile` is one of giving_up.CHOICES; `lost` says that persistent desktops
    are known to be lost; `typed` is the node's name as typed, `fingerprint` that of the host key that was shown."""

    volatile: str
    lost: bool
    typed: str
    fingerprint: str


@dataclass(frozen=True)
class Replacement:
    """All that stood on the node, the bases whose only whole copy was there, and what is known of the host."""

    standing: Standing
    only_there: Sequence[Base]
    said: Message
    fingerprint: str


def look(actor: User, node: Node) -> Replacement:
    """What it would mean. Raises NotAllowed, and Conflict where no host may take the node's place."""
    rights.require(actor, "nodes.change")
    _require_newcomer(node)
    standing = giving_up.standing(actor, node)
    only = [base for base in standing.originals if originals.copied_elsewhere(db.session(), base) is None]
    said, fingerprint = identification.said_of(node), endpoints.fingerprint(node.new_host_key)
    return Replacement(standing, only, said, fingerprint)


def replace(actor: User, node: Node, asked: Asked) -> Operation:
    """Have the host with the new key be the node from this moment on, as a new one: the former host's key and machine
    ID are kept, so that it is known should it answer again; one operation settles its desktops, then checks and tests
    the new host.

    Raises InvalidInput, and Conflict where there is no such host any more, as somebody else was quicker.
    """
    rights.require(actor, "nodes.change")
    outbox.require_queue()
    with transaction() as session:
        # Nothing is placed meanwhile.
        hold_lock(session, "placement")
        row = held(session, node.id)
        _require_newcomer(row)
        if wrong := _wrong(session, row, asked):
            raise InvalidInput(wrong)
        operation_requests.stop_on(session, actor, row, _SPARED)
        _record(session, actor, row)
        _lose_all(session, row)
        _take_place(row)
        title = message("nodes.title_replace", node=row.name)
        params = {"volatile": asked.volatile, "host_key": row.host_key}
        return operation_requests.request(session, "node_replace", title, actor=actor, node=row, params=params)


def _require_newcomer(node: Node) -> None:
    if node.is_master:
        raise Conflict(message("nodes.replace_master"))
    if node.trust != Trust.CHANGED or node.newcomer.get("who") not in MAY_TAKE_PLACE:
        raise Conflict(message("joining.nothing_to_decide", node=node.name))


def _wrong(session: Session, node: Node, asked: Asked) -> dict[str, Message]:
    wrong: dict[str, Message] = {}
    if asked.volatile not in CHOICES:
        wrong["volatile"] = message("nodes.choose")
    if asked.typed.strip() != node.name:
        wrong["typed"] = message("nodes.type_name", node=node.name)
    if asked.fingerprint != endpoints.fingerprint(node.new_host_key):
        wrong["fingerprint"] = message("nodes.yet_another_host", node=node.name)
    persistent = select(Clone.id).where(Clone.node_id == node.id, ~Clone.volatile)
    if not asked.lost and session.scalar(persistent.limit(1)) is not None:
        wrong["lost"] = message("nodes.confirm_lost")
    return wrong


def _record(session: Session, actor: User, node: Node) -> None:
    """Keep what the former host is known by."""
    node.former_hosts = [*node.former_hosts, {"host_key": node.host_key, "machine_id": node.machine_id}]
    former, newcomer = (endpoints.fingerprint(key) for key in (node.host_key, node.new_host_key))
    known = {"old_id": node.machine_id, "new_id": str(node.newcomer["machine_id"])}
    events.record(session, actor, "replace", node, message("nodes.replaced", old=former, new=newcomer, **known))


def _lose_all(session: Session, node: Node) -> None:
    """Nothing is left of what stood there: neither desktops, nor what they left, nor copies of bases."""
    why = message("nodes.replaced_with", node=node.name)
    session.execute(delete(Clone).where(Clone.node_id == node.id, Clone.state == CloneState.DELETING))
    _lose_clones(session, node)
    to_tell = (Remains.cause == Cause.GIVEN_UP, ~Remains.dismissed, Remains.owner_id.is_not(None))
    here = Remains.node_id == node.id
    session.execute(update(Remains).where(here, *to_tell).values(cause=Cause.LOST))
    # What is being moved there is its operation's.
    session.execute(delete(Remains).where(here, Remains.cause.not_in([Cause.LOST, Cause.ARRIVING])))
    originals.move(session, node.id, why)
    ticked = select(AllowedNode.base_id).where(AllowedNode.node_id == node.id)
    for replica in session.scalars(select(Replica).where(Replica.node_id == node.id)):
        base = replica.version.base
        if base.node_id != node.id and session.scalar(ticked.where(AllowedNode.base_id == base.id)) is None:
            session.delete(replica)
            continue
        replica.state, replica.reason = ReplicaState.FAILED, message("bases.gone_with_host", node=node.name)
        replica.directory, replica.stamps, replica.operation_id = "", {}, None
        replica.progress, replica.failures, replica.retry_at = 0, 0, now()
    session.flush()


def _lose_clones(session: Session, node: Node) -> None:
    """Its desktops can be reached nowhere any more, and no check of the new host says anything of them."""
    ran = case(
        (Clone.state == CloneState.UNREACHABLE, Clone.state_before),
        (Clone.start_after | Clone.state.in_([CloneState.STARTING, CloneState.STOPPING]), CloneState.RUNNING),
        (Clone.state_in_use.in_(AT_REST), Clone.state_in_use),
        else_="",
    )
    remade = Clone.volatile & Clone.base_id.in_(select(Base.id).where(Base.remakes))
    values: dict[str, Any] = {"state": CloneState.UNREACHABLE, "state_before": ran, "start_after": False}
    values |= {"lost": True, "changed_round": ROUND_NOW}
    for which, kind in ((remade, "being_made_again"), (~remade, "disk_gone")):
        here = update(Clone).where(Clone.node_id == node.id, which)
        session.execute(here.values(**values, reason=message(f"clones.{kind}", node=node.name)))


def _take_place(node: Node) -> None:
    """The row is the new host's, which has not been checked yet; all that is set of it stays."""
    kept = node.service_state not in (ServiceState.NEW, ServiceState.GIVEN_UP)
    node.serves_as = node.service_state if kept else node.serves_as
    node.service_state = ServiceState.NEW
    identification.pin(node)
    node.machine_id, node.other_machine_id, node.host_uuid, node.access = "", "", None, Access.NONE
    # The card that woke the former host is gone with it.
    node.mac = ""
    node.facts, node.facts_at, node.figures_at, node.other_domains = {}, None, None, []
    node.other_running = []
    node.findings, node.inspected_at, node.proof, node.proved_at = [], None, [], None
    node.observed, node.away, node.returning = Observed.UNKNOWN, Away.NONE, False
    node.slow_checks = node.good_checks = node.boot_round = 0
    node.boot = ""
    node.memory_free_mib = node.memory_total_mib = node.cpu_load = None
    node.forget_off()
    for pool in node.pools:
        # Its thresholds stay; what is in it is not known.
        pool.active, pool.free_mib, pool.total_mib, pool.usage, pool.counted_at = False, None, None, {}, None
