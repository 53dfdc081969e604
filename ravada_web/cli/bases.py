"""`flask bases …`"""

import click

from ravada_web.cli.common import Commands, administrator, json_option, show, wait, wait_option
from ravada_web.services.bases import actions as base_actions
from ravada_web.services.bases import listing as base_list
from ravada_web.services.bases import offers
from ravada_web.services.nodes import listing as node_list
from ravada_web.services.people import groups, users

group = Commands("bases", help="Templates for desktops.")


@group.command("list")
@json_option
def list_bases(as_json: bool) -> None:
    """List all bases."""
    rows = [
        {
            "id": row.base.id,
            "name": row.base.name,
            "state": row.base.state,
            "version": row.version,
            "memory_mib": row.base.memory_mib,
            "nodes": row.allowed,
            "replicas_ready": row.replicas_ready,
            "clones": row.clones,
            "reason": row.base.reason,
        }
        for row in base_list.listing(administrator())
    ]
    show(rows, as_json)


@group.command("import")
@click.argument("name")
@click.argument("paths", nargs=-1)
@click.option("--domain", default="", help="A powered-off virtual machine on the master, instead of files.")
@click.option("--memory", default=1024, show_default=True, help="Memory in MiB, with files.")
@click.option("--vcpus", default=1, show_default=True, help="Virtual CPUs, with files.")
@click.option("--description", default="")
def import_base(name: str, paths: tuple[str, ...], domain: str, memory: int, vcpus: int, description: str) -> None:
    """Import a base from qcow2 files on the master (absolute paths) or from a virtual machine there."""
    operation = base_actions.request_import(
        administrator(),
        name=name,
        description=description,
        source="domain" if domain else "file",
        domain=domain,
        paths="\n".join(paths),
        memory_mib=memory,
        vcpus=vcpus,
    )
    wait([operation.id])
    click.echo(f"base {name} imported; next: flask bases prepare {name}")


@group.command("prepare")
@click.argument("name")
@wait_option
def prepare(name: str, waits: bool) -> None:
    """Prepare the disks of a base, so that clones can be created from it."""
    actor = administrator()
    operation = base_actions.prepare(actor, base_list.by_name(actor, name))
    if waits:
        wait([operation.id])


@group.command("allow")
@click.argument("name")
@click.argument("nodes", nargs=-1, required=True)
@click.option("--not", "forbid", is_flag=True, help="Deselect these nodes instead.")
@wait_option
def allow(name: str, nodes: tuple[str, ...], forbid: bool, waits: bool) -> None:
    """Select nodes that may run the base, and copy its disks there."""
    actor = administrator()
    base = base_list.by_name(actor, name)
    named = {node_list.by_name(actor, node).id for node in nodes}
    ticked = {row.node_id for row in base.allowed}
    base_actions.allow(actor, base, ticked - named if forbid else ticked | named)
    if waits:
        wait(base_list.copies_under_way(actor, base))


@group.command("offer")
@click.argument("name")
@click.option("--all", "to_all", is_flag=True, help="Offer it to everyone.")
@click.option("--group", "to_groups", multiple=True, help="Offer it to the members of a group; can be repeated.")
@click.option("--user", "to_users", multiple=True, help="Offer it to a user; can be repeated.")
@click.option("--volatile", is_flag=True, help="Delete their desktops on shutdown.")
@click.option("--may-delete", is_flag=True, help="Users can delete their own desktops.")
@click.option("--may-refuse", is_flag=True, help="Users can block screen viewing.")
def offer(
    name: str,
    to_all: bool,
    to_groups: tuple[str, ...],
    to_users: tuple[str, ...],
    volatile: bool,
    may_delete: bool,
    may_refuse: bool,
) -> None:
    """Let these users and groups, and nobody else, create desktops from a base. Without any, withdraw the offer."""
    actor = administrator()
    offers.set_offers(
        actor,
        base_list.by_name(actor, name),
        to_all=to_all,
        group_ids=[groups.by_name(actor, group).id for group in to_groups],
        user_ids=[users.by_name(actor, user).id for user in to_users],
        volatile=volatile,
        users_may_delete=may_delete,
        users_may_refuse=may_refuse,
    )
