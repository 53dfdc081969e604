"""`flask setup`: make or bring up to date what a data folder needs before the processes start."""

import os
import socket

import click
from flask.cli import with_appcontext
from flask_migrate import upgrade

from ravada_web import system_users
from ravada_web.cli.common import OneLineCommand
from ravada_web.services import schema
from ravada_web.services.installation.setup import ensure_local_master
from ravada_web.services.nodes.endpoints import ensure_key
from ravada_web.services.people.users import ensure_first_administrator


@click.command("setup", cls=OneLineCommand)
@with_appcontext
def command() -> None:
    """Create the database, the SSH key, the master node and the first administrator. Safe to repeat.

    Run by root, it makes the system users of the processes, too: `flask up` hands all of it over to them.
    """
    if os.geteuid() == 0:
        system_users.ensure(click.echo)
    set_up()


def set_up() -> None:
    """Make what is missing, and say the first administrator's password where that was made.

    Raises CannotRun for a database that a newer version has written.
    """
    schema.require_known()
    upgrade()
    ensure_key()
    ensure_local_master(socket.gethostname())
    password = ensure_first_administrator()
    if password is not None:
        click.echo("First administrator (this password is not shown again):")
        click.echo(f"  name: admin   password: {password}")
