"""`flask operations …`"""

import sys

import click

from ravada_web.cli.common import SOME, Commands, administrator, json_option, show
from ravada_web.services.operations import listing as operation_list
from ravada_web.services.operations import requests as operation_requests

group = Commands("operations", help="Work in progress and its results.")


@group.command("list")
@click.option("--state", default="", help="One of waiting, running, done, failed, cancelled.")
@json_option
def list_operations(state: str, as_json: bool) -> None:
    """List the newest operations."""
    page = operation_list.listing(administrator(), operation_list.Filters(state=state))
    rows = [
        {
            "id": row.id,
            "kind": row.kind,
            "title": row.title,
            "state": row.state,
            "progress": row.progress,
            "attempt": row.attempt,
            "node": row.node.name if row.node else None,
            "error": row.error,
        }
        for row in page.items
    ]
    show(rows, as_json)


@group.command("retry")
@click.argument("ids", type=int, nargs=-1, required=True)
def retry(ids: tuple[int, ...]) -> None:
    """Retry failed operations."""
    retried = operation_requests.retry(administrator(), ids)
    click.echo(f"queued {retried.count}")
    for why in retried.left:
        click.echo(f"Error: {why}", err=True)
    if retried.left:
        sys.exit(SOME)


@group.command("cancel")
@click.argument("ids", type=int, nargs=-1, required=True)
def cancel(ids: tuple[int, ...]) -> None:
    """Cancel operations; running ones stop at their next safe step."""
    click.echo(f"cancelled {operation_requests.cancel(administrator(), ids)}")
