"""`flask archive …`"""

import json
from pathlib import Path

import click

from ravada_web.cli.common import Commands, json_option, show
from ravada_web.errors import NotFound
from ravada_web.services import archive_files
from ravada_web.services.retention import thinning

group = Commands("archive", help="Old rows that have left the database.")
# As long as it takes: each of its transactions is short.
_TO_THE_END = float("inf")


@group.command("run")
@json_option
def run(as_json: bool) -> None:
    """Archive all that is old enough now; the product does so by itself, some each minute."""
    show([{"kind": kind, "rows": rows} for kind, rows in sorted(thinning.thin(_TO_THE_END).items())], as_json)


@group.command("list")
@json_option
def list_files(as_json: bool) -> None:
    """List the files of the archive: one for each kind and month."""
    rows = [{"file": path.name, "bytes": path.stat().st_size} for path in archive_files.files()]
    show(rows, as_json)


@group.command("show")
@click.argument("file")
@click.option("--search", default="", help="Only lines with this text.")
def show_file(file: str, search: str) -> None:
    """Print the rows of a file of the archive, one line of JSON each."""
    path = archive_files.folder() / Path(file).name
    if not path.is_file():
        raise NotFound(f"The archive has no file {path.name}: see flask archive list.")
    for row in archive_files.read(path):
        line = json.dumps(row, ensure_ascii=False)
        if search.lower() in line.lower():
            click.echo(line)
