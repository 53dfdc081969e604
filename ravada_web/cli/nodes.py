"""`flask nodes …`"""

import sys

import click

from ravada_web.cli.common import Commands, administrator, json_option, show, wait
from ravada_web.errors import NotFound
from ravada_web.models import Node
from ravada_web.services import node_joining, nodes

group = Commands("nodes", help="The hosts that run virtual machines.")


def find(name: str) -> Node:
    """The node of that name. Raises NotFound."""
    found = next((row.node for row in nodes.listing(administrator()) if row.node.name == name), None)
    if found is None:
        raise NotFound(f"There is no node “{name}”.")
    return found


@group.command("list")
@json_option
def list_nodes(as_json: bool) -> None:
    """All nodes, as last seen."""
    rows = [
        {
            "id": row.node.id,
            "name": row.node.name,
            "address": row.node.address,
            "master": row.node.is_master,
            "wanted": row.node.wanted,
            "state": row.node.observed,
            "trust": row.node.trust,
            "reason": row.node.reason,
            "last_seen": row.node.last_seen_at,
            "memory_free_mib": row.node.memory_free_mib,
            "memory_mib": row.node.memory_total_mib,
            "bases": row.bases,
            "clones": row.clones,
            "running": row.running,
        }
        for row in nodes.listing(administrator())
    ]
    show(rows, as_json)


@group.command("add")
@click.argument("name")
@click.argument("address")
@click.option("--port", default=22, show_default=True)
@click.option("--user", default="root", show_default=True)
@click.option("--accept", default="", metavar="SHA256:…", help="The host key's fingerprint, read on the node itself.")
def add(name: str, address: str, port: int, user: str, accept: str) -> None:
    """Add a node: read its host key, have it accepted, prove access and libvirt. The first one is the master."""
    actor = administrator()
    scan = node_joining.begin_join(actor, name=name, address=address, port=port, user=user)
    (scan,) = wait([scan.id], timeout=60)
    seen = scan.result["fingerprint"]
    if not accept:
        accept = _ask_to_accept(name, seen)
    join = node_joining.accept_join(actor, scan.id, accept)
    wait([join.id], timeout=120)
    click.echo(f"node {name} joined")


def _ask_to_accept(name: str, seen: str) -> str:
    if not sys.stdin.isatty():
        raise click.ClickException(f"the host key of {name} is {seen}; if that is right, add --accept {seen}")
    click.confirm(f"The host key of {name} is {seen}. Is it the one that the host itself shows?", abort=True)
    return seen


@group.command("enable")
@click.argument("name")
def enable(name: str) -> None:
    """Let a node be placed on."""
    nodes.set_wanted(administrator(), find(name), "enabled")


@group.command("disable")
@click.argument("name")
@click.option("--shut-down", is_flag=True, help="Ask what runs there to shut down too.")
def disable(name: str, shut_down: bool) -> None:
    """Give a node no new clones and no starts."""
    nodes.set_wanted(administrator(), find(name), "disabled", shut_down)


@group.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Forget a node that has no clones."""
    nodes.remove(administrator(), find(name))


@group.command("key")
def key() -> None:
    """The product's public SSH key, for a node's authorized_keys."""
    click.echo(nodes.public_key())
