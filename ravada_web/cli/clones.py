"""`flask clones …`"""

import json
import sys
from collections.abc import Mapping
from typing import Any

import click

from ravada_web.cli import clone_results
from ravada_web.cli.common import Commands, administrator, all_pages, json_option, show, wait, wait_option
from ravada_web.errors import NotFound
from ravada_web.messages.placement import stored_reason
from ravada_web.models import Clone, CloneState
from ravada_web.services.bases import listing as base_list
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.clones import requests as clone_requests
from ravada_web.services.moves import requests as move_requests
from ravada_web.services.moves.requests import DEFAULT, AtDeadline, LiveLimits
from ravada_web.services.nodes import listing as node_list
from ravada_web.services.people import users

group = Commands("clones", help="Desktops created from bases.")
_AT_DEADLINE: Mapping[str, AtDeadline] = {"stop": "stop", "give-up": "give_up"}
results_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON list with a row for each clone.")


@group.command("list")
@click.option("--base", default="")
@click.option("--search", default="", help="Part of the name.")
@json_option
def list_clones(base: str, search: str, as_json: bool) -> None:
    """List all clones, as last seen."""
    viewer = administrator()
    filters = clone_list.Filters(search=search, base_id=base_list.by_name(viewer, base).id if base else None)
    clones = all_pages(lambda number: clone_list.listing(viewer, filters, number))
    show([_row(clone) for clone in clones], as_json)


def _row(clone: Clone) -> dict[str, object]:
    return {
        "id": clone.id,
        "name": clone.name,
        "base": clone.base.name,
        "node": clone.node.name,
        "owner": clone.owner.name,
        "state": clone.state,
        "volatile": clone.volatile,
        "uuid": clone.uuid,
        "macs": [nic.mac for nic in clone.nics],
        "reason": clone.reason,
    }


@group.command("create")
@click.argument("base")
@click.option("--count", default=1, show_default=True)
@click.option("--prefix", required=True)
@click.option("--owner", default="", help="A user's name; by default the first administrator.")
@click.option("--volatile", is_flag=True, help="Delete them on shutdown.")
@click.option("--start", "start_after", is_flag=True, help="Start them when they are ready.")
@wait_option
@results_option
def create(
    base: str, count: int, prefix: str, owner: str, volatile: bool, start_after: bool, waits: bool, as_json: bool
) -> None:
    """Create clones, distributed over the nodes that may run the base."""
    actor = administrator()
    request = clone_requests.Request(
        base_id=base_list.by_name(actor, base).id,
        count=count,
        prefix=prefix,
        owner=(users.by_name(actor, owner) if owner else actor).name,
        volatile=volatile,
        start_after=start_after,
    )
    decision = clone_requests.request_clones(actor, request)
    clones = clone_list.of_decision(actor, decision)
    rows = clone_results.of_creation(actor, clones, waits)
    if not as_json:
        click.echo(f"{count} clones: {clones[0].name} to {clones[-1].name}")
    clone_results.tell(rows, as_json)


@group.command("start")
@click.argument("names", nargs=-1, required=True)
@wait_option
@results_option
def start(names: tuple[str, ...], waits: bool, as_json: bool) -> None:
    """Start clones."""
    clone_results.act(names, clone_actions.start, waits, as_json)


@group.command("stop")
@click.argument("names", nargs=-1, required=True)
@click.option("--force", is_flag=True, help="Cut the power; unsaved work is lost.")
@wait_option
@results_option
def stop(names: tuple[str, ...], force: bool, waits: bool, as_json: bool) -> None:
    """Shut down clones."""
    clone_results.act(names, clone_actions.force_off if force else clone_actions.shut_down, waits, as_json)


@group.command("restart")
@click.argument("names", nargs=-1, required=True)
@wait_option
@results_option
def restart(names: tuple[str, ...], waits: bool, as_json: bool) -> None:
    """Shut down clones, then start them again."""
    clone_results.act(names, clone_actions.restart, waits, as_json)


@group.command("delete")
@click.argument("names", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@wait_option
@results_option
def delete(names: tuple[str, ...], yes: bool, waits: bool, as_json: bool) -> None:
    """Delete clones and all data on their disks."""
    if sys.stdin.isatty() and not yes:
        click.confirm(f"Delete {', '.join(names)} and all data on their disks?", abort=True)
    clone_results.act(names, clone_actions.delete, waits, as_json)


@group.command("move")
@click.argument("name")
@click.argument("node")
@click.option("--live", "way", flag_value="live", help="Move it while it runs; its user goes on working.")
@click.option("--cold", "way", flag_value="cold", help="Shut it down first if it runs, and start it again there.")
@click.option("--deadline", type=int, metavar="SECONDS", help="How long a live move may take.  [default: 600]")
@click.option(
    "--at-deadline",
    type=click.Choice(list(_AT_DEADLINE)),
    help="Then pause it until the rest is copied, or leave it where it is.  [default: stop]",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@wait_option
def move(
    name: str, node: str, way: str | None, deadline: int | None, at_deadline: str | None, yes: bool, waits: bool
) -> None:
    """Move a clone to another node: one that is off, or one that runs with --live or --cold."""
    if way != "live" and (deadline is not None or at_deadline):
        raise click.UsageError("--deadline and --at-deadline are of moves with --live.")
    limits = LiveLimits(
        DEFAULT.deadline_seconds if deadline is None else deadline,
        _AT_DEADLINE[at_deadline] if at_deadline else DEFAULT.at_deadline,
    )
    actor = administrator()
    clone, target = clone_results.named(actor, name), node_list.by_name(actor, node)
    restart = way == "cold" and clone.state == CloneState.RUNNING
    if restart and sys.stdin.isatty() and not yes:
        click.confirm(f"Shut down {clone.name}? What its user has not saved is lost", abort=True)
    operation = move_requests.request_move(
        actor, clone.id, target.id, live=way == "live", restart=restart, limits=limits
    )
    if waits:
        (moved,) = wait([operation.id])
        wait(moved.result.get("starts", []))


@group.command("why")
@click.argument("name")
@json_option
def why(name: str, as_json: bool) -> None:
    """Show why a clone is on its node: how every node was rated when it was placed."""
    clone = clone_results.named(administrator(), name)
    decision = clone_list.why(administrator(), clone)
    if decision is None:
        raise NotFound(f"{clone.name} was not placed by a request.")
    if as_json:
        click.echo(json.dumps({"clone": clone.name, "node": clone.node.name, **decision}))
        return
    click.echo(f"{clone.name} is on {clone.node.name}")
    rows = [
        {
            "node": verdict["node_name"],
            "took": verdict["taken"],
            "score": _score(verdict),
            "reason": str(stored_reason(verdict["reason"])) or None,
        }
        for verdict in decision["verdicts"]
    ]
    show(rows, as_json=False)


def _score(verdict: Mapping[str, Any]) -> str | None:
    """A node's score, or between which ones it lies."""
    scores = [verdict["score"], verdict["best"]]
    return "-".join(f"{score:.3f}" for score in scores if score is not None) or None
