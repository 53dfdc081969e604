"""Requests to wake a node's host, and the ways there are to do it (`waking_work`)."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ravada_web.config import settings
from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.messages import NOTHING, Message, message, sentences
from ravada_web.models import Away, Fence, Node, Observed, Operation, ServiceState, Trust, User
from ravada_web.remote.cards import READY
from ravada_web.remote.target import Target
from ravada_web.remote.wake import broadcast_from_here
from ravada_web.services.audit import events
from ravada_web.services.lifecycle import fence_agents, fencing, host_power
from ravada_web.services.lifecycle.held import held
from ravada_web.services.nodes import nics
from ravada_web.services.operations import outbox
from ravada_web.services.operations.requests import request
from ravada_web.services.permissions import rights
from ravada_web.services.transaction import transaction

WAKE = "host_wake"


@dataclass(frozen=True)
class Ways:
    """What there is to wake a host by. `mac` is its card's, "" where that is not known or nobody can send there;
    `from_here` is the broadcast address of its network where this very host is in it, `sender` a node that is, with
    that address; `agent` is its fence agent, `command` whether one is configured. `lacking` says of each other way why
    there is none."""

    mac: str
    from_here: str
    sender: tuple[Target, str] | None
    agent: str
    command: bool
    lacking: tuple[Message, ...]

    @property
    def none(self) -> bool:
        """Whether nothing can be tried."""
        return not (self.mac or self.agent or self.command)


def ways(session: Session, node: Node) -> Ways:
    """What there is to wake the node's host by, as known now."""
    return _ways(session, node, fencing.agent_of(session, node), nics.senders(session))


def obstacles(session: Session, nodes: Collection[Node]) -> dict[int, Message]:
    """Why these hosts cannot be relied on to wake, by the ids of those of which that is so; in two queries."""
    agents = dict(session.execute(select(Fence.node_id, Fence.agent)).all())
    senders = nics.senders(session)
    found = {node.id: _obstacle(node, _ways(session, node, agents.get(node.id, ""), senders)) for node in nodes}
    return {node_id: why for node_id, why in found.items() if why}


def _obstacle(node: Node, found: Ways) -> Message:
    """Why the host cannot be relied on to wake; an empty message where it can."""
    if found.none:
        return sentences(message("waking.no_way", node=node.name), *found.lacking)
    nic = nics.waking(node)
    if found.agent or found.command or nic is None or nic.wakes == READY:
        return NOTHING
    return message(f"joining.wake_{nic.wakes}", card=nic.name or nic.mac, mac=nic.mac)


def _ways(session: Session, node: Node, fence: str, senders: nics.Senders) -> Ways:
    nic, lacking = nics.waking(node), list[Message]()
    addresses = (nic.addresses or (node.address,)) if nic else ()
    sender = nics.sender_among(session, senders, node, addresses)
    from_here = broadcast_from_here(addresses)
    if nic is None:
        lacking.append(message("waking.no_mac"))
    elif sender is None and not from_here:
        lacking.append(message("waking.nobody_beside", node=node.name))
    if not fence:
        lacking.append(message("waking.no_agent"))
    elif fence not in fence_agents.installed():
        lacking.append(message("fencing.not_installed", agent=fence))
    mac = nic.mac if nic and (sender or from_here) else ""
    agent = fence if fence in fence_agents.installed() else ""
    return Ways(mac, from_here, sender, agent, bool(settings().wake_command), tuple(lacking))


def outlook(viewer: User, node: Node) -> Message:
    """Whether the host could be woken from here once it is off, in words for who may shut it down."""
    rights.require(viewer, "nodes.change")
    return _obstacle(node, ways(db.session(), node)) or message("waking.can_be_woken")


def request_wake(actor: User, node: Node, *, enable: bool = False) -> Operation:
    """Request that the node's host is woken; with `enable`, a node that is in maintenance is enabled once it is up.

    Raises Conflict for a node that is not off, where something is under way with its power already, and where there is
    no way to wake it.
    """
    rights.require(actor, "nodes.change")
    outbox.require_queue()
    with transaction() as session:
        row = held(session, node.id)
        if enable and row.service_state != ServiceState.MAINTENANCE:
            raise Conflict(message("waking.not_in_maintenance", node=row.name))
        return wake(session, actor, row, {"enable": enable})


def wake(session: Session, actor: User | None, node: Node, params: dict[str, Any], why: Message = NOTHING) -> Operation:
    """The same of a node that is held, in the present transaction; `params` are the operation's, `why` is for the audit
    log. Raises Conflict as `request_wake` does."""
    _require_possible(node)
    host_power.require_idle(session, node)
    found = ways(session, node)
    if found.none:
        raise Conflict(sentences(message("waking.no_way", node=node.name), *found.lacking))
    events.record(session, actor, "wake", node, why)
    title = message("nodes.title_host_wake", node=node.name)
    return request(session, WAKE, title, actor=actor, node=node, params=params)


def _require_possible(node: Node) -> None:
    refused: Message | None = None
    if node.is_given_up:
        refused = message("nodes.given_up_already", node=node.name)
    elif node.local:
        refused = message("waking.this_server")
    elif node.trust != Trust.PINNED:
        refused = message("joining.quarantined", node=node.name)
    elif node.observed != Observed.DOWN or node.away == Away.REFUSES:
        refused = message("waking.not_off", node=node.name)
    if refused:
        raise Conflict(refused)


def may(node: Node) -> bool:
    """Whether the node is off, as far as is known, so that its host can be woken."""
    try:
        _require_possible(node)
    except Conflict:
        return False
    return True
