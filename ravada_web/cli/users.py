"""`flask users …`"""

import click

from ravada_web.cli.common import Commands, administrator, json_option, show
from ravada_web.models import Role
from ravada_web.services.people import groups, users
from ravada_web.services.sign_in import passwords
from ravada_web.services.sign_in import sessions as sign_in_sessions

group = Commands("users", help="User accounts.")


@group.command("list")
@json_option
def list_users(as_json: bool) -> None:
    """List all users."""
    rows = [
        {
            "id": user.id,
            "name": user.name,
            "role": user.role,
            "active": user.active,
            "signed_in": user.signed_in_at,
        }
        for user in users.listing(administrator())
    ]
    show(rows, as_json)


@group.command("create")
@click.argument("name")
@click.option("--role", default=Role.USER.value, show_default=True, help="user, operator or administrator.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of generating one.")
@click.option("--group", "in_groups", multiple=True, help="A group's name; can be repeated.")
def create_user(name: str, role: str, password_stdin: bool, in_groups: tuple[str, ...]) -> None:
    """Create a user. A generated password is printed once."""
    typed = click.get_text_stream("stdin").readline().rstrip("\n") if password_stdin else None
    group_ids = [groups.by_name(administrator(), group_name).id for group_name in in_groups]
    _user, password = users.make(None, name, role, typed, group_ids=group_ids)
    click.echo(f"created {name}" if typed else password)


@group.command("reset-password")
@click.argument("name")
def reset_password(name: str) -> None:
    """Print a new password, to be changed at the next sign-in. Ends all sessions."""
    click.echo(passwords.reset_password(None, users.by_name(administrator(), name)))


@group.command("reset-second-factor")
@click.argument("name")
def reset_second_factor(name: str) -> None:
    """Remove a lost second factor. Ends all sessions."""
    passwords.reset_second_factor(None, users.by_name(administrator(), name))
    click.echo(f"{name} can now sign in without a second factor")


@group.command("sessions")
@click.argument("name")
@click.option("--end", is_flag=True, help="End all sessions.")
@json_option
def sessions(name: str, end: bool, as_json: bool) -> None:
    """List the sessions of a user."""
    user = users.by_name(administrator(), name)
    if end:
        click.echo(f"ended {sign_in_sessions.end_all(None, user)}")
        return
    rows = [
        {"id": row.id, "address": row.address, "browser": row.agent, "since": row.created_at, "seen": row.seen_at}
        for row in sign_in_sessions.listing(user)
    ]
    show(rows, as_json)
