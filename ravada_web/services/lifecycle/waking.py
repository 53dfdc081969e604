"""Requests to wake a node's host, and the ways there are to do it (`waking_work`)."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from ravada_web.config import settings
from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.messages import Message, message, sentences
from ravada_web.models import Away, Node, Observed, Operation, ServiceState, Trust, User
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
    nic, lacking = nics.waking(node), list[Message]()
    addresses = (nic.addresses or (node.address,)) if nic else ()
    sender = nics.sender_beside(session, node, addresses)
    from_here = broadcast_from_here(addresses)
    if nic is None:
        lacking.append(message("waking.no_mac"))
    elif sender is None and not from_here:
        lacking.append(message("waking.nobody_beside", node=node.name))
    fence = fencing.agent_of(session, node)
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
    found = ways(db.session(), node)
    if found.none:
        return sentences(message("waking.no_way", node=node.name), *found.lacking)
    nic = nics.waking(node)
    if found.agent or found.command or nic is None or nic.wakes == READY:
        return message("waking.can_be_woken")
    return message(f"joining.wake_{nic.wakes}", card=nic.name or nic.mac, mac=nic.mac)


def request_wake(actor: User, node: Node, *, enable: bool = False) -> Operation:
    """Request that the node's host is woken; with `enable`, a node that is in maintenance is enabled once it is up.

    Raises Conflict for a node that is not off, where something is under way with its power already, and where there is
    no way to wake it.
    """
    rights.require(actor, "nodes.change")
    outbox.require_queue()
    with transaction() as session:
        row = held(session, node.id)
        _require_possible(row)
        if enable and row.service_state != ServiceState.MAINTENANCE:
            raise Conflict(message("waking.not_in_maintenance", node=row.name))
        host_power.require_idle(session, row)
        found = ways(session, row)
        if found.none:
            raise Conflict(sentences(message("waking.no_way", node=row.name), *found.lacking))
        events.record(session, actor, "wake", row)
        title = message("nodes.title_host_wake", node=row.name)
        return request(session, WAKE, title, actor=actor, node=row, params={"enable": enable})


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
