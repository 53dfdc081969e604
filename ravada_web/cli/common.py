"""What the commands share: one-line errors, tables or JSON, waiting for operations with their progress shown."""

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import click
from flask.cli import AppGroup, ScriptInfo
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from ravada_web import ROOT, closed_homes, system_users
from ravada_web.config import Settings
from ravada_web.errors import RavadaError
from ravada_web.models import AT_WORK, MovePlan, Operation, OperationState, PlanState, User
from ravada_web.services.moves import plans
from ravada_web.services.operations import listing as operation_list
from ravada_web.services.paging import Page
from ravada_web.services.people import users
from ravada_web.services.transaction import read_again

POLL_SECONDS = 0.2
# Exit codes of what is done to many, beside 0 where all went well; 2 is click's, for a wrong command.
NONE, SOME = 1, 3
Item = TypeVar("Item")


class RootCommand(click.Command):
    """Answers what services refuse, and what the system lacks, with one line on standard error and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            self._begin(ctx)
            return super().invoke(ctx)
        except RavadaError as error:
            raise click.ClickException(str(error)) from error
        except SQLAlchemyError as error:
            raise click.ClickException(f"The database: {_first_line(error)}.{_database_advice(str(error))}") from error
        except RedisError as error:
            raise click.ClickException(f"Redis: {_first_line(error)}. Does it run? See RAVADA_REDIS_URL.") from error
        except BrokenPipeError:
            raise
        except OSError as error:
            where = f": {error.filename}" if error.filename else ""
            raise click.ClickException(f"{error.strerror or error}{where}") from error

    def _begin(self, _ctx: click.Context) -> None:
        """What is done first: here, nothing."""


class OneLineCommand(RootCommand):
    """The same. Where root calls it on the data folder of system users, it steps down to the workers' one: so it leaves
    nothing there that the processes cannot use, and opens nothing that somebody has planted."""

    def _begin(self, ctx: click.Context) -> None:
        present: Settings = ctx.ensure_object(ScriptInfo).load_app().extensions["settings"]
        users = system_users.find() if os.geteuid() == 0 else None
        if users and users.have(present.data):
            closed_homes.hide(closed_homes.needs(present, ROOT))
            users.work.become()


class Commands(RootCommand, AppGroup):
    """A group of such commands."""

    command_class = OneLineCommand


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _database_advice(said: str) -> str:
    """What to do, where the database's words are known."""
    if re.search(r"no such (table|column)|(relation|column) .* does not exist", said):
        return " Run `flask setup` first."
    if "is full" in said or "No space left" in said:
        return " Make room on the disk of the data folder (RAVADA_DATA)."
    if "connection" in said:
        return " Does the database run? See RAVADA_DATABASE_URL."
    return ""


def administrator() -> User:
    """In whose name the command line acts: the first administrator. Raises NotFound before `flask setup`."""
    return users.first_administrator()


def name_typed(name: str, yes: bool, ask: str) -> str:
    """What the person typed for the name of something, asked so; the name itself where nobody is to be asked."""
    return name if yes else str(click.prompt(ask))


def all_pages(page: Callable[[int], Page[Item]]) -> Iterator[Item]:
    """What is on all pages of a list; `page` returns the one of that number."""
    number, pages = 1, 1
    while number <= pages:
        read = page(number)
        yield from read.items
        number, pages = number + 1, read.pages


def show(rows: Sequence[dict[str, Any]], as_json: bool) -> None:
    """Print rows, as JSON or as a table with a column a key."""
    if as_json:
        click.echo(json.dumps(rows, default=str))
        return
    if not rows:
        click.echo("none")
        return
    cells = [[str(value) if value is not None else "-" for value in row.values()] for row in rows]
    lines = [list(rows[0]), *cells]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def wait(operation_ids: Sequence[int], timeout: float = 3600) -> Sequence[Operation]:
    """Wait until all these operations are over, showing progress on a terminal.

    Raises RavadaError with the first one's error when one has failed or was cancelled, or at the timeout (seconds).
    """
    rows = wait_over(operation_ids, timeout)
    for row in rows:
        if row.state != OperationState.DONE:
            raise RavadaError(f"{row.title}: {row.error}")
    return rows


def wait_over(operation_ids: Sequence[int], timeout: float = 3600) -> Sequence[Operation]:
    """The same, however they end. Raises RavadaError at the timeout alone."""
    end = time.monotonic() + timeout
    while True:
        read_again()
        rows = operation_list.many(administrator(), operation_ids)
        _show_progress(rows)
        if all(row.over for row in rows):
            return rows
        if time.monotonic() > end:
            raise RavadaError(f"not done after {timeout:.0f} s; it continues, see: flask operations list")
        time.sleep(POLL_SECONDS)


def _show_progress(rows: Sequence[Operation]) -> None:
    if not rows or not sys.stderr.isatty():
        return
    over = sum(row.over for row in rows)
    percent = sum(100 if row.over else row.progress for row in rows) // len(rows)
    tail = "\n" if over == len(rows) else ""
    click.echo(f"\r{percent:3d} %  {over}/{len(rows)} done  {str(rows[-1].title)[:60]:60}{tail}", nl=False, err=True)


def follow_plan(plan_id: int, waits: bool, tell: Callable[[MovePlan], object]) -> None:
    """Wait for the end of a plan of moves, if that is wanted, and tell how it stands. Raises RavadaError with its note
    where it has ended with something left."""
    actor = administrator()
    while waits and plans.get(actor, plan_id).state in AT_WORK:
        time.sleep(POLL_SECONDS)
        read_again()
    plan = plans.get(actor, plan_id)
    tell(plan)
    if plan.state not in (*AT_WORK, PlanState.DONE):
        raise RavadaError(str(plan.note))


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON list instead of a table.")
wait_option = click.option("--wait", "waits", is_flag=True, help="Wait until the work is done.")
