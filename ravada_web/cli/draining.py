"""`flask nodes …`: draining nodes, and bringing home what was moved away."""

import sys
from datetime import UTC, datetime

import click

from ravada_web.cli.common import Commands, administrator, follow_plan, json_option, show, wait_option
from ravada_web.errors import RavadaError
from ravada_web.models import MovePlan
from ravada_web.services.lifecycle import draining
from ravada_web.services.lifecycle.draining import FORCE_OFF, LEAVE, SHUT_DOWN, Wishes
from ravada_web.services.moves import plans
from ravada_web.services.nodes import listing as node_list

group = Commands("nodes")
_AT_DEADLINE = {"shut-down": SHUT_DOWN, "force-off": FORCE_OFF, "leave": LEAVE}
live_option = click.option("--live/--no-live", default=True, help="Move what runs without shutting it down.")
at_once_option = click.option("--at-once", default=Wishes.at_once, show_default=True, help="Moves at once.")


@group.command("drain")
@click.argument("names", metavar="NODE…", nargs=-1, required=True)
@live_option
@click.option("--users-may-stay", "minutes", default=Wishes.minutes, show_default=True, metavar="MINUTES")
@click.option("--at-deadline", type=click.Choice(list(_AT_DEADLINE)), default="shut-down", show_default=True)
@at_once_option
@click.option("--copy-bases/--no-copy-bases", "brings", default=True, help="Copy missing bases to other nodes first.")
@click.option("--why", default="", help="Shown to everybody who sees the node.")
@click.option("--until", type=click.DateTime(), help="Until when its maintenance is planned (UTC).")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--dry-run", is_flag=True, help="Only list what would become of each desktop.")
@json_option
@wait_option
def drain(
    names: tuple[str, ...],
    live: bool,
    minutes: int,
    at_deadline: str,
    at_once: int,
    brings: bool,
    why: str,
    until: datetime | None,
    yes: bool,
    dry_run: bool,
    as_json: bool,
    waits: bool,
) -> None:
    """Empty nodes: their desktops move, or are shut down first; then the nodes are in maintenance."""
    actor = administrator()
    nodes = [node_list.by_name(actor, name) for name in names]
    until = until.replace(tzinfo=UTC) if until else None
    wishes = Wishes(minutes, _AT_DEADLINE[at_deadline], live=live, at_once=at_once, brings=brings, why=why, until=until)
    rows = draining.preview(actor, nodes, wishes).rows
    if dry_run or not as_json:
        listed = [
            {"name": row.clone.name, "way": row.way, "to": row.target or None, "why": str(row.reason)} for row in rows
        ]
        show(listed, as_json)
    if not dry_run:
        if at_deadline == "force-off" and sys.stdin.isatty() and not yes:
            click.confirm("Force off what does not shut down? What its users have not saved is lost", abort=True)
        _follow(draining.request_drain(actor, [node.id for node in nodes], wishes), as_json, waits)


@group.command("bring-back")
@click.argument("name")
@live_option
@at_once_option
@click.option("--wait-for-users", "minutes", default=Wishes.minutes, show_default=True, metavar="MINUTES")
@json_option
@wait_option
def bring_back(name: str, live: bool, at_once: int, minutes: int, as_json: bool, waits: bool) -> None:
    """Bring home what the last drain of a node has moved away."""
    actor = administrator()
    wishes = Wishes(minutes, LEAVE, live=live, at_once=at_once)
    _follow(draining.request_bring_back(actor, node_list.by_name(actor, name), wishes), as_json, waits)


@group.command("drain-cancel")
@click.argument("name")
@click.option("--return", "returns", is_flag=True, help="What has moved goes back; otherwise it stays.")
def cancel(name: str, returns: bool) -> None:
    """Cancel the drain of a node that is under way."""
    actor = administrator()
    plan = draining.under_way(node_list.by_name(actor, name))
    if plan is None:
        raise RavadaError(f"{name} is not being drained.")
    plans.cancel(actor, plan.id, returns=returns)


def _follow(plan: MovePlan, as_json: bool, waits: bool) -> None:
    """Wait for its end, if that is wanted, and say how it stands. Raises RavadaError where something is left."""

    def tell(seen: MovePlan) -> None:
        show([{"plan": seen.id, "state": seen.state, "note": str(seen.note)}], as_json)

    follow_plan(plan.id, waits, tell)
