"""What nodes offer to guests that come to them while they run, as last seen."""

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from ravada_web.guard import guarded
from ravada_web.hypervisor.facts import NodeFacts
from ravada_web.hypervisor.platform import host_of
from ravada_web.messages import Message
from ravada_web.models import Node
from ravada_web.platforms import Host


def store_platform(node: Node, facts: NodeFacts) -> None:
    """Keep what the node offers, where that is news: after an upgrade of its QEMU or libvirt, or on other hardware."""
    host = host_of(facts)
    if node.platform_digest != host.digest:
        node.platform, node.platform_digest = host.to_dict(), host.digest


def hosts_among(session: Session, node_ids: Select[int]) -> dict[int, Host]:
    """What each of these nodes offers, by its id; one that was never asked is left out. What many nodes offer alike is
    read once."""
    known = (Node.id.in_(node_ids), Node.platform_digest != "")
    digests = dict(session.execute(select(Node.id, Node.platform_digest).where(*known)).all())
    first = select(func.min(Node.id)).where(*known).group_by(Node.platform_digest)
    query = select(Node.platform_digest, Node.platform).where(Node.id.in_(first))
    hosts: dict[str, Host] = {}
    for digest, platform in session.execute(query):
        with guarded(_unknown, platform=digest):
            hosts[digest] = Host.from_dict(platform)
    return {node_id: hosts[digest] for node_id, digest in digests.items() if digest in hosts}


def _unknown(_reason: Message) -> None:
    """What makes no sense is as if nobody had asked: the next look at the node writes it anew."""
