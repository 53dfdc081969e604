"""From a node's row to what the rooms below need to reach it: its SSH target, its libvirt, its pools."""

from contextlib import AbstractContextManager
from pathlib import Path

import libvirt
from flask_babel import gettext as _
from sqlalchemy import select

from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.hypervisor.connection import open_connection, socket_uri
from ravada_web.models import Access, Node, Pool, Trust
from ravada_web.remote.target import Target, Workspace
from ravada_web.services import storage
from ravada_web.services.operations import settings


def workspace() -> Workspace:
    """Where the links' sockets and our key are."""
    return Workspace(run_dir=settings().run_dir, key_file=settings().ssh_key)


def target(node: Node) -> Target:
    """The node as SSH reaches it."""
    root = node.access != Access.LIBVIRT
    return Target(node.id, node.name, node.address, node.port, node.user, node.host_key, local=node.local, root=root)


def linked() -> list[Target]:
    """The nodes that are to have a link: all that are trusted and let us in."""
    nodes = db.session.scalars(select(Node).where(Node.trust == Trust.PINNED, Node.access != Access.NONE)).all()
    return [target(node) for node in nodes]


def libvirt_uri(where: Target) -> str:
    """The node's libvirt, through the link's socket."""
    return socket_uri(workspace().libvirt_socket(where))


def connect(node: Node) -> AbstractContextManager[libvirt.virConnect]:
    """A connection to the node's libvirt. Raises HypervisorUnreachable."""
    return open_connection(libvirt_uri(target(node)))


def display_address(node: Node) -> str:
    """Where the node's guests are offered to viewers; "" where they are not, or its QEMU has no SPICE."""
    return node.display_address if "spice" in node.facts.get("displays", ()) else ""


def storage_pool(node: Node) -> Pool:
    """The pool of the node that replicas and clones live in.

    Raises Conflict when it has none that is active.
    """
    chosen = storage.working_pool(node)
    if chosen is None:
        raise Conflict(
            _(
                "Node %(node)s has no active storage pool. Make one there: virsh pool-start default.",
                node=node.name,
            )
        )
    return chosen


def in_pool(directory: str, name: str) -> str:
    """The absolute path of a file in a pool's folder."""
    return str(Path(directory) / name)
