"""docs/cli.md has an example of every command, and every example is one that the command line takes."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from flask import Flask

from ravada_web import cli
from tests.docs import markdown

EXAMPLES = [
    line.split("#", 1)[0].strip()
    for block in markdown.code((markdown.ROOT / "docs" / "cli.md").read_text(), "sh")
    for line in block.splitlines()
]


@pytest.fixture
def commands() -> click.Group:
    """The product's own commands, without Flask's."""
    app = Flask(__name__)
    app.cli.commands.clear()
    cli.init_app(app)
    return app.cli


def paths(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words that lead to each command."""
    if isinstance(command, click.Group):
        for name, part in command.commands.items():
            yield from paths(part, (*path, name))
    else:
        yield path


def resolved(command: click.Command, arguments: list[str]) -> tuple[tuple[str, ...], click.Command, list[str]]:
    """The path of the command that these arguments call, the command, and what is left for it."""
    path: tuple[str, ...] = ()
    while isinstance(command, click.Group):
        name, *arguments = arguments
        command, path = command.commands[name], (*path, name)
    return path, command, arguments


def test_every_command_has_an_example(commands: click.Group) -> None:
    exemplified = {resolved(commands, shlex.split(line)[1:])[0] for line in EXAMPLES}
    assert exemplified == set(paths(commands))


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_taken(
    commands: click.Group, example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nodes.txt").touch()
    monkeypatch.chdir(tmp_path)
    program, *arguments = shlex.split(example)
    assert program == "flask"
    path, command, rest = resolved(commands, arguments)
    with command.make_context(path[-1], rest):
        pass  # parsing raises a UsageError for an argument that is missing or an option that does not exist
