"""`flask nodes …`"""

from typing import TextIO

import click

from ravada_web.cli import draining, node_absence, rebalancing
from ravada_web.cli.common import Commands, administrator, json_option, show, wait, wait_option
from ravada_web.cli.joining import Options, Place, join_many
from ravada_web.services.joining import inspection, verification
from ravada_web.services.joining.checks.findings import findings_of
from ravada_web.services.lifecycle import host_power, removal, rest_requests, resting, service_state, waking
from ravada_web.services.lifecycle.host_power_work import GUESTS_SECONDS, HOST_SECONDS
from ravada_web.services.lifecycle.waking_work import WAKE_SECONDS
from ravada_web.services.nodes import endpoints
from ravada_web.services.nodes import listing as node_list
from ravada_web.services.placements import reserve

# A fence agent takes its time before anything is watched.
WAIT_MORE_SECONDS = 180.0

group = Commands(
    "nodes",
    help="The hosts that run virtual machines.",
    commands={**node_absence.group.commands, **draining.group.commands, **rebalancing.group.commands},
)


@group.command("list")
@json_option
def list_nodes(as_json: bool) -> None:
    """List all nodes, as last seen."""
    rows = [
        {
            "id": row.node.id,
            "name": row.node.name,
            "address": row.node.address,
            "master": row.node.is_master,
            "wanted": row.node.service_state,
            "state": row.node.observed,
            "trust": row.node.trust,
            "away": row.node.away,
            "reason": row.node.why,
            "last_seen": row.node.last_seen_at,
            "memory_free_mib": row.node.memory_free_mib,
            "memory_mib": row.node.memory_total_mib,
            "bases": row.bases,
            "clones": row.clones,
            "running": row.running,
        }
        for row in node_list.listing(administrator())
    ]
    show(rows, as_json)


@group.command("join")
@click.argument("name", required=False)
@click.argument("address", required=False)
@click.option("--port", default=22, show_default=True)
@click.option("--user", default="root", show_default=True)
@click.option("--accept", default="", metavar="SHA256:…", help="Fingerprint of the host key, as shown on the node.")
@click.option("--file", "listed", type=click.File(), help="Lines of NAME ADDRESS FINGERPRINT [USER [PORT]].")
@click.option("--install", is_flag=True, help="Run the fixes for failed checks, such as installing packages.")
@click.option("--password", is_flag=True, help="Ask for the user's password once, to install Ravada's key.")
@click.option("--unverified", is_flag=True, help="Enable it even if its test fails; recorded in the audit log.")
def join(
    name: str | None,
    address: str | None,
    port: int,
    user: str,
    accept: str,
    listed: TextIO | None,
    install: bool,
    password: bool,
    unverified: bool,
) -> None:
    """Add a node: trust, access, checks, test. The first one becomes the master. Continues where it stopped."""
    options = Options(install, unverified, click.prompt("Password", hide_input=True) if password else "")
    if listed is not None:
        join_many([Place.parse(line) for line in listed if line.strip() and not line.startswith("#")], options)
    elif name and address:
        join_many([Place(name, address, accept, user, port)], options)
    else:
        raise click.UsageError("NAME and ADDRESS, or --file")


@group.command("check")
@click.argument("name")
@json_option
def check(name: str, as_json: bool) -> None:
    """Run all checks of a node and show the results."""
    actor = administrator()
    wait([inspection.request_inspection(actor, node_list.by_name(actor, name)).id], timeout=120)
    columns = ("code", "state", "text", "remedy")
    results = findings_of(node_list.by_name(actor, name))
    show([{key: getattr(finding, key) for key in columns} for finding in results], as_json)


@group.command("verify")
@click.argument("name")
def verify(name: str) -> None:
    """Create, start, view and remove a tiny test VM on a node. This enables a new node."""
    actor = administrator()
    (done,) = wait([verification.request_verification(actor, node_list.by_name(actor, name)).id], timeout=180)
    show([vars(step) for step in verification.steps(done.result["steps"])], as_json=False)


@group.command("enable")
@click.argument("name")
@click.option("--unverified", is_flag=True, help="Even without a passed test; recorded in the audit log.")
def enable(name: str, unverified: bool) -> None:
    """Enable a node: new desktops may be placed there."""
    actor = administrator()
    service_state.set_service_state(actor, node_list.by_name(actor, name), "enabled", unverified=unverified)


@group.command("disable")
@click.argument("name")
@click.option("--shut-down", is_flag=True, help="Also shut down the desktops running there.")
def disable(name: str, shut_down: bool) -> None:
    """Disable a node: nothing new is placed or started there."""
    actor = administrator()
    service_state.set_service_state(actor, node_list.by_name(actor, name), "disabled", shut_down=shut_down)


@group.command("maintenance")
@click.argument("name")
@click.option("--why", default="", help="Shown to everybody who sees the node.")
@click.option("--hours", type=int, help="For how long it is planned. If it takes longer, alerts are raised again.")
@click.option("--shut-down", is_flag=True, help="Also shut down the desktops running there.")
def maintenance(name: str, why: str, hours: int | None, shut_down: bool) -> None:
    """Put a node into maintenance: nothing new is placed or started there, and it raises no alerts."""
    actor = administrator()
    service_state.begin_maintenance(actor, node_list.by_name(actor, name), why, hours, shut_down=shut_down)


@group.command("shut-down")
@click.argument("name")
@click.option("--force", is_flag=True, help="Force off desktops that do not shut down within two minutes.")
def shut_down_host(name: str, force: bool) -> None:
    """Shut down a node's desktops, then its host. Ends when nothing answers there any more."""
    _power(name, host_power.OFF, force)


@group.command("restart")
@click.argument("name")
@click.option("--force", is_flag=True, help="Force off desktops that do not shut down within two minutes.")
def restart_host(name: str, force: bool) -> None:
    """Shut down a node's desktops, then restart its host. Ends when the node is up again."""
    _power(name, host_power.RESTART, force)


@group.command("wake")
@click.argument("name")
@click.option("--enable", is_flag=True, help="Enable the node, which is in maintenance, once it is up.")
@wait_option
def wake_host(name: str, enable: bool, waits: bool) -> None:
    """Wake a node's host: by Wake-on-LAN, its fence agent and the configured command, whatever there is."""
    actor = administrator()
    operation = waking.request_wake(actor, node_list.by_name(actor, name), enable=enable)
    if waits:
        wait([operation.id], timeout=WAKE_SECONDS + WAIT_MORE_SECONDS)


def _power(name: str, kind: str, force: bool) -> None:
    actor = administrator()
    stubborn = host_power.FORCE if force else host_power.LEAVE
    operation = host_power.request_power(actor, node_list.by_name(actor, name), kind, stubborn)
    wait([operation.id], timeout=int(GUESTS_SECONDS + HOST_SECONDS))


@group.command("remove")
@click.argument("name")
def remove(name: str) -> None:
    """Remove a node that has no clones and no copies of bases."""
    actor = administrator()
    removal.remove(actor, node_list.by_name(actor, name))


@group.command("reserve")
@click.argument("kept", required=False, type=click.Choice(["on", "off"]))
@json_option
def reserve_room(kept: str | None, as_json: bool) -> None:
    """Keep room for the loss of one node, or no more; alone, say whether any one could be lost now."""
    if kept:
        reserve.set_kept(administrator(), kept == "on")
    reserve.count()
    row = reserve.policy()
    show([{"kept": row.keeps_reserve, "missing_mib": row.missing_mib, "means": row.reserve_news}], as_json)


@group.command("schedule")
@click.option("--dry-run", is_flag=True, help="Replay the last week: what would have been put to rest and woken.")
@click.option("--on/--off", "on", default=None, help="Have nodes rest by it, or no more: then all are woken.")
@json_option
def schedule(dry_run: bool, on: bool | None, as_json: bool) -> None:
    """Show which nodes rest, or could rest now, while the cluster is quiet, and why."""
    if on is not None:
        rest_requests.switch(administrator(), on)
    seen = resting.look(administrator())
    if dry_run:
        turns = [
            {"at": turn.at, "node": node.name, "action": turn.action, "why": turn.why}
            for turn in seen.turned
            for node in turn.nodes
        ]
        show(turns, as_json)
        short = f"{len(seen.short)} times with too little room"
        click.echo(f"{seen.rested_hours:.0f} hours rested in all, {seen.kwh:.1f} kWh, {short}", err=True)
    else:
        rows = [
            {
                "node": each.node.name,
                "action": each.action,
                "step": each.node.rest_step,
                "why": each.node.rest_note if each.node.rest_step else each.why,
            }
            for each in seen.said.values()
        ]
        show(rows, as_json)
        done = f"{seen.saved.hours:.0f} hours rested so far, {seen.saved.kwh:.1f} kWh"
        click.echo(f"{'on' if seen.acts else 'off'}; {done}", err=True)


@group.command("rest")
@click.argument("name")
@click.option("--never", "choice", flag_value="never", help="Have the schedule leave it alone; if it rests, wake it.")
@click.option("--again", "choice", flag_value="again", help="Have the schedule decide on it again.")
def rest(name: str, choice: str | None) -> None:
    """Put a node to rest now; the schedule wakes it."""
    actor = administrator()
    node_id = node_list.by_name(actor, name).id
    match choice:
        case "never":
            rest_requests.keep_awake(actor, node_id)
        case "again":
            rest_requests.let_rest(actor, node_id)
        case _:
            rest_requests.rest_now(actor, node_id)


@group.command("key")
def key() -> None:
    """Print Ravada's public SSH key, for a node's authorized_keys."""
    click.echo(endpoints.public_key())
