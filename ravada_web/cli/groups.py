"""`flask groups …`"""

import click

from ravada_web.cli.common import Commands, administrator, all_pages, json_option, show
from ravada_web.services.people import groups
from ravada_web.services.people.quotas import Quota

group = Commands("groups", help="Groups of users.")
most_clones = click.option("--clones", type=int, help="Quota of desktops for each member.")
most_running = click.option("--running", type=int, help="Quota of desktops running at once.")
most_memory = click.option("--memory", type=int, help="Quota of memory of running desktops, in MiB.")


@group.command("list")
@json_option
def list_groups(as_json: bool) -> None:
    """List all groups."""
    viewer = administrator()
    rows = [
        {
            "id": row.group.id,
            "name": row.group.name,
            "members": row.members,
            "bases": row.bases,
            "clones": row.group.most_clones,
            "running": row.group.most_running,
            "memory_mib": row.group.most_memory_mib,
        }
        for row in all_pages(lambda number: groups.page(viewer, "", number))
    ]
    show(rows, as_json)


@group.command("create")
@click.argument("name")
@click.option("--description", default="")
@most_clones
@most_running
@most_memory
def create(name: str, description: str, clones: int | None, running: int | None, memory: int | None) -> None:
    """Create a group; options left out mean no quota."""
    groups.create(administrator(), name=name, description=description, most=Quota(clones, running, memory))
    click.echo(f"created {name}")


@group.command("quota")
@click.argument("name")
@most_clones
@most_running
@most_memory
def quota(name: str, clones: int | None, running: int | None, memory: int | None) -> None:
    """Replace the quota of a group; options left out mean no quota."""
    actor = administrator()
    group_row = groups.by_name(actor, name)
    most = Quota(clones, running, memory)
    groups.edit(actor, group_row, name=group_row.name, description=group_row.description, most=most)


@group.command("add")
@click.argument("name")
@click.argument("users", nargs=-1, required=True)
def add(name: str, users: tuple[str, ...]) -> None:
    """Add users to a group."""
    actor = administrator()
    added = groups.add_members(actor, groups.by_name(actor, name), " ".join(users))
    click.echo(f"added {added}")


@group.command("remove")
@click.argument("name")
@click.argument("users", nargs=-1, required=True)
def remove(name: str, users: tuple[str, ...]) -> None:
    """Remove users from a group."""
    actor = administrator()
    count = groups.remove_members(actor, groups.by_name(actor, name), " ".join(users))
    click.echo(f"removed {count}")


@group.command("delete")
@click.argument("name")
def delete(name: str) -> None:
    """Delete a group; its members are kept."""
    actor = administrator()
    groups.delete(actor, groups.by_name(actor, name))
