"""What came of a command on many clones: a row for each, and an exit code that says whether all went well."""

import sys
import time
from collections.abc import Collection, Mapping, Sequence

import click

from ravada_web.cli.common import NONE, POLL_SECONDS, SOME, administrator, show, wait_over
from ravada_web.errors import NotFound
from ravada_web.messages import Message
from ravada_web.models import Clone, CloneState, User
from ravada_web.services.batches import grouped
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.clones.actions import Action
from ravada_web.services.transaction import read_again

REQUESTED, DONE, UNCHANGED, SKIPPED, FAILED = "requested", "done", "unchanged", "skipped", "failed"
WELL = (REQUESTED, DONE, UNCHANGED)
Row = dict[str, object]


def named(viewer: User, name: str) -> Clone:
    """The clone of that name, or id. Raises NotFound."""
    return clone_list.get(viewer, int(name)) if name.isdecimal() else clone_list.by_name(viewer, name)


def act(names: Sequence[str], action: Action, waits: bool, as_json: bool) -> None:
    """Do it to those of these clones that it can be done to; tells what came of each."""
    actor = administrator()
    rows: dict[str, Row] = {}
    found: dict[int, str] = {}
    for name in dict.fromkeys(names):
        try:
            clone = named(actor, name)
        except NotFound as error:
            rows[name] = _row(name, SKIPPED, error.message)
        else:
            found[clone.id] = clone.name
            rows[clone.name] = _row(clone.name, REQUESTED)
    if found:
        outcome = action(actor, list(found))
        for skipped in outcome.skipped:
            name = found[skipped.id]
            rows[name] = _row(name, UNCHANGED if skipped.so_already else SKIPPED, skipped.why)
        if waits:
            done = {done.id: done.name for done in outcome.done}
            _wait_settled(actor, list(done))
            rows |= _rows(actor, done, action.reached)
    tell(list(rows.values()), as_json)


def of_creation(actor: User, clones: Sequence[Clone], waits: bool) -> list[Row]:
    """The rows of new clones."""
    names = {clone.id: clone.name for clone in clones}
    if not waits:
        return [_row(name, REQUESTED) for name in names.values()]
    wait_over(sorted({clone.operation_id for clone in clones if clone.operation_id}))
    made = (CloneState.STOPPED, CloneState.STARTING, CloneState.RUNNING)
    return list(_rows(actor, names, made).values())


def _rows(actor: User, names: Mapping[int, str], reached: Collection[CloneState]) -> dict[str, Row]:
    """The rows of these clones by what they are once the work is over. One that is gone was to be deleted, or is
    volatile and was shut down."""
    now = {clone.id: clone for clone in clone_list.present(actor, list(names))}
    gone_is_well = CloneState.STOPPED in reached or not reached
    rows = {}
    for clone_id, name in names.items():
        clone = now.get(clone_id)
        well = gone_is_well if clone is None else clone.state in reached
        rows[name] = _row(name, DONE if well else FAILED, "" if well or clone is None else clone.reason)
    return rows


def _wait_settled(actor: User, clone_ids: Sequence[int]) -> None:
    """Wait until none of these clones is being started, stopped or deleted. A volatile one that has stopped is deleted
    by an operation of its own."""
    while operation_ids := clone_list.power_work_on(actor, clone_ids):
        wait_over(operation_ids)
        time.sleep(POLL_SECONDS)
        read_again()


def _row(name: str, result: str, reason: Message | str = "") -> Row:
    return {"clone": name, "result": result, "reason": str(reason)}


def tell(rows: Sequence[Row], as_json: bool) -> None:
    """Print all rows as JSON, or those that did not go well on standard error, alike reasons together; exits where one
    did not."""
    wrong = [row for row in rows if row["result"] not in WELL]
    if as_json:
        show(rows, as_json)
    elif wrong:
        if len(rows) > 1:
            click.echo(f"{len(rows) - len(wrong)} of {len(rows)} clones; {len(wrong)} not:", err=True)
        for why, alike in grouped(wrong, lambda row: row["reason"] or row["result"]).items():
            click.echo(f"Error: {', '.join(str(row['clone']) for row in alike)}: {why}", err=True)
    if wrong:
        sys.exit(NONE if len(wrong) == len(rows) else SOME)
