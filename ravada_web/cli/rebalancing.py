"""`flask nodes rebalance`."""

import click

from ravada_web.cli.common import Commands, administrator, follow_plan, json_option, show, wait_option
from ravada_web.models import MovePlan, PlanState
from ravada_web.services.moves import rebalancing, rebalancing_rules

group = Commands("nodes")


@group.command("rebalance")
@click.option("--dry-run", is_flag=True, help="Only show the plan.")
@click.option("--at-once", type=int, help="How many desktops move at the same time.")
@wait_option
@json_option
def rebalance(dry_run: bool, at_once: int | None, waits: bool, as_json: bool) -> None:
    """Move desktops so that the load of the nodes is even. Shows each move with its reason and its gain."""
    actor = administrator()
    proposal = rebalancing.propose(actor)
    rows = [
        {
            "desktop": move.clone.name,
            "from": move.source,
            "to": move.target,
            "live": move.live,
            "gain": round(move.gain, 4),
            "reason": move.reason,
        }
        for move in proposal.moves
    ]
    if as_json:
        show(rows, as_json=True)
    else:
        show(rows, as_json=False)
        click.echo(f"imbalance {proposal.before:.0%}, afterwards {proposal.after:.0%}")
    if dry_run or not rows:
        return
    most = rebalancing_rules.rules().at_once if at_once is None else at_once
    plan_id = rebalancing.begin(actor, [move.choice for move in proposal.moves], most).id
    if waits:
        follow_plan(plan_id, waits, _tell)


def _tell(plan: MovePlan) -> None:
    if plan.state == PlanState.DONE:
        click.echo(str(plan.note), err=True)
