"""`flask bases …`"""

from collections.abc import Callable

import click

from ravada_web.cli.common import Commands, administrator, json_option, show, wait, wait_option
from ravada_web.models import Operation
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


_SOURCE = (
    click.argument("paths", nargs=-1),
    click.option("--domain", default="", help="A powered-off virtual machine on the master, instead of files."),
    click.option("--memory", default=1024, show_default=True, help="Memory in MiB, with files."),
    click.option("--vcpus", default=1, show_default=True, help="Virtual CPUs, with files."),
)


def _source(command: Callable[..., None]) -> Callable[..., None]:
    """The arguments that say what to import."""
    for parameter in reversed(_SOURCE):
        command = parameter(command)
    return command


def _wanted(
    name: str, description: str, paths: tuple[str, ...], domain: str, memory: int, vcpus: int
) -> base_actions.Wanted:
    return {
        "name": name,
        "description": description,
        "source": "domain" if domain else "file",
        "domain": domain,
        "paths": "\n".join(paths),
        "memory_mib": memory,
        "vcpus": vcpus,
    }


def _inspected(wanted: base_actions.Wanted, as_json: bool = False) -> Operation:
    """Inspect what is to be imported, and print what becomes of each element."""
    (inspection,) = wait([base_actions.request_inspection(administrator(), **wanted).id])
    rows = [
        {
            "verdict": line.verdict,
            "element": ", ".join(f"{name} ×{count}" if count > 1 else name for name, count in line.elements),
            "text": str(line.text),
            "fix": line.remedy,
        }
        for line in base_list.listed(inspection)
    ]
    show(rows, as_json)
    return inspection


@group.command("inspect")
@click.argument("name")
@_source
@json_option
def inspect(name: str, paths: tuple[str, ...], domain: str, memory: int, vcpus: int, as_json: bool) -> None:
    """List what would become of each element of a virtual machine, or of files, and import nothing."""
    _inspected(_wanted(name, "", paths, domain, memory, vcpus), as_json)


@group.command("import")
@click.argument("name")
@_source
@click.option("--description", default="")
def import_base(name: str, paths: tuple[str, ...], domain: str, memory: int, vcpus: int, description: str) -> None:
    """Import a base from qcow2 files on the master (absolute paths) or from a virtual machine there.

    What becomes of each element is listed first; where something is in the way, nothing is imported.
    """
    inspection = _inspected(_wanted(name, description, paths, domain, memory, vcpus))
    wait([base_actions.request_import_as_listed(administrator(), inspection).id])
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
@click.option("--restart", is_flag=True, help="Start persistent desktops that ran again when their node is back.")
@click.option("--no-remake", is_flag=True, help="Do not make volatile desktops again when their node fails.")
def offer(
    name: str,
    to_all: bool,
    to_groups: tuple[str, ...],
    to_users: tuple[str, ...],
    volatile: bool,
    may_delete: bool,
    may_refuse: bool,
    restart: bool,
    no_remake: bool,
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
        remakes=not no_remake,
        restarts=restart,
    )
