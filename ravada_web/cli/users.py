"""`flask users …`"""

import click

from ravada_web.cli.common import Commands, json_option, show
from ravada_web.models import Role
from ravada_web.services import users

group = Commands("users", help="People who sign in.")


@group.command("list")
@json_option
def list_users(as_json: bool) -> None:
    """All users."""
    rows = [
        {
            "id": user.id,
            "name": user.name,
            "role": user.role,
            "active": user.active,
            "signed_in": user.signed_in_at,
        }
        for user in users.listing()
    ]
    show(rows, as_json)


@group.command("create")
@click.argument("name")
@click.option("--role", default=Role.USER.value, show_default=True, help="user, operator or administrator.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input; else one is drawn.")
def create_user(name: str, role: str, password_stdin: bool) -> None:
    """Make a user; a password that was drawn is printed, this once."""
    given = click.get_text_stream("stdin").readline().rstrip("\n") if password_stdin else None
    _user, password = users.create(None, name, role, given)
    click.echo(f"created {name}" if given else password)
