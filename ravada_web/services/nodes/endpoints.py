"""From a node's row to what reaches it: its SSH target, its libvirt, our key."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial

import libvirt
from sqlalchemy import not_, select

from ravada_web.config import settings
from ravada_web.extensions import db
from ravada_web.guard import guarded
from ravada_web.hypervisor.connection import MOST_SECONDS, open_connection, socket_uri
from ravada_web.messages import Message
from ravada_web.models import (
    Access,
    Node,
    Observed,
    ServiceState,
    Trust,
)
from ravada_web.remote.keys import ensure_keypair, publish
from ravada_web.remote.ssh import fingerprint_of
from ravada_web.remote.target import Target, Workspace


def fingerprint(host_key: str) -> str:
    """What a person compares of a host key ("SHA256:…"), "" of none."""
    return fingerprint_of(host_key) if host_key else ""


def public_key() -> str:
    """The product's own public key: a node that has it in its authorized_keys lets us in."""
    try:
        return settings().public_key.read_text().strip()
    except FileNotFoundError:
        return ensure_key()


def ensure_key() -> str:
    """Make our key where there is none, and the file of its public part, which is enough for pages; returns that."""
    line = ensure_keypair(settings().ssh_key)
    publish(line, settings().public_key)
    return line


def workspace() -> Workspace:
    """Where the links' sockets, our key and the helper's sockets are."""
    return Workspace(run_dir=settings().links_dir, key_file=settings().ssh_key, helper=settings().helper_dir)


def target(node: Node) -> Target:
    """The node as SSH reaches it."""
    root = node.access != Access.LIBVIRT
    return Target(node.id, node.name, node.address, node.port, node.user, node.host_key, local=node.local, root=root)


def newcomer(node: Node) -> Target:
    """The host that shows the node's new key, which was accepted; it need not be the node."""
    return replace(target(node), host_key=node.new_host_key, root=True)


@dataclass(frozen=True)
class Linked:
    """The nodes that are to have a link, and why some cannot have one, by their ids."""

    targets: list[Target]
    refused: dict[int, Message]


def targets_to_link() -> Linked:
    """The nodes that are to have a link: all that are trusted and let us in, but those given up that do not answer."""
    gone = (Node.service_state == ServiceState.GIVEN_UP) & (Node.seen == Observed.DOWN)
    query = select(Node).where(Node.trust == Trust.PINNED, Node.access != Access.NONE, not_(gone))
    nodes = db.session.scalars(query).all()
    linked = Linked([], {})
    for node in nodes:
        with guarded(partial(linked.refused.__setitem__, node.id), node=node.name):
            linked.targets.append(target(node))
    return linked


def libvirt_uri(where: Target) -> str:
    """The node's libvirt, through the link's socket."""
    return socket_uri(workspace().libvirt_socket(where))


def connect(node: Node, within: float = MOST_SECONDS) -> AbstractContextManager[libvirt.virConnect]:
    """A connection to the node's libvirt, for so many seconds in all. Raises HypervisorUnreachable."""
    return open_connection(libvirt_uri(target(node)), within=within)


def display_address(node: Node) -> str:
    """The address of the node's displays for viewer files; "" where they are not, or its QEMU has no SPICE."""
    return node.display_address if "spice" in node.facts.get("displays", ()) else ""
