"""A node's network cards: which one wakes its host, and which node is beside it, to send what does."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from ravada_web.models import Node
from ravada_web.remote import cards
from ravada_web.remote.cards import Nic, broadcast_beside
from ravada_web.remote.offers import HostOffers
from ravada_web.remote.target import Target
from ravada_web.services.nodes import endpoints


def waking(node: Node) -> Nic | None:
    """The card that wakes the node's host: of the MAC address that is set, else the one that leads to its address, as
    last read. None where neither is known."""
    host = HostOffers.from_dict(node.facts.get("host"))
    nics = host.nics if host else ()
    found = cards.waking(nics, node.address)
    if not node.mac:
        return found
    own = next((nic for nic in nics if nic.mac == node.mac), Nic("", node.mac, cards.UNKNOWN))
    return replace(own, addresses=own.addresses or (found.addresses if found else ()))


# The ids of nodes that are up, with their cards.
Senders = Sequence[tuple[int, Sequence[Nic]]]


def senders(session: Session) -> Senders:
    """The nodes that could send what wakes a host of their network."""
    stored = select(Node.id, Node.facts["host"]["nics"]).where(Node.is_reachable, ~Node.local).order_by(Node.id)
    return [(node_id, [Nic.from_dict(nic) for nic in found or ()]) for node_id, found in session.execute(stored)]


def sender_among(session: Session, among: Senders, node: Node, addresses: Sequence[str]) -> tuple[Target, str] | None:
    """Of these, one beside the node that is in the same network as one of these addresses, and that network's broadcast
    address."""
    for node_id, cards_there in among:
        if node_id != node.id and (to := broadcast_beside(cards_there, addresses)):
            return endpoints.target(session.get_one(Node, node_id)), to
    return None
