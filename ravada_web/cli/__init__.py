"""The command line, for scripts: the same services as the pages. Errors are one line and a non-zero exit."""

from flask import Flask

from ravada_web.cli import archive, audit, bases, clones, groups, nodes, operations, setup, up, users


def init_app(app: Flask) -> None:
    """Register the command groups."""
    for command in (
        setup.command,
        up.up,
        nodes.group,
        bases.group,
        clones.group,
        operations.group,
        audit.group,
        archive.group,
        users.group,
        groups.group,
    ):
        app.cli.add_command(command)
