"""`flask nodes …`: nodes that are away, given up, or whose place another host takes."""

import click

from ravada_web.cli.common import Commands, administrator, name_typed, wait, wait_over
from ravada_web.cli.joining import confirmed, in_words
from ravada_web.errors import RavadaError
from ravada_web.models import Node, OperationState, User
from ravada_web.services.joining import host_keys, identification, key_install
from ravada_web.services.joining.checks.findings import findings_of
from ravada_web.services.lifecycle import fencing, giving_up, known_off, replacing
from ravada_web.services.nodes import endpoints
from ravada_web.services.nodes import listing as node_list
from ravada_web.services.transaction import read_again

yes_option = click.option("--yes", is_flag=True, help="Do not ask for the node's name.")
volatile_option = click.option(
    "--volatile", type=click.Choice(giving_up.CHOICES), default=giving_up.WAIT, show_default=True
)


group = Commands("nodes")


def _found(name: str) -> tuple[User, Node]:
    actor = administrator()
    return actor, node_list.by_name(actor, name)


@group.command("fence")
@click.argument("name")
@click.option("--off", is_flag=True, help="Turn it off: the power is cut. Ends when it is known to be off.")
@yes_option
def fence(name: str, off: bool, yes: bool) -> None:
    """Ask a node's fence agent for the power state, or turn the node off."""
    actor, node = _found(name)
    if off:
        typed = name_typed(name, yes, f"{fencing.running_clones(node)} desktops run there. Name of the node")
        operation = fencing.request_off(actor, node, typed)
    else:
        operation = fencing.request_test(actor, node)
    (done,) = wait([operation.id], timeout=600)
    click.echo(done.result["power"])


@group.command("off")
@click.argument("name")
@click.option("--undo", is_flag=True, help="It may be running after all.")
@yes_option
def off(name: str, undo: bool, yes: bool) -> None:
    """Vouch that a node that does not answer is off: its desktops may be started elsewhere."""
    actor, node = _found(name)
    if undo:
        known_off.take_back(actor, node)
        return
    known_off.say(actor, node, name_typed(name, yes, "Type the node's name to confirm that it has no power"))


@group.command("give-up")
@click.argument("name")
@volatile_option
@click.option("--persistent", type=click.Choice(giving_up.CHOICES), default=giving_up.WAIT, show_default=True)
@yes_option
def give_up(name: str, volatile: str, persistent: str, yes: bool) -> None:
    """Give up a node that will not come back, and its desktops of each kind, or let them wait."""
    actor, node = _found(name)
    typed = name_typed(name, yes, "Type the node's name to confirm")
    wait([giving_up.give_up(actor, node, typed, volatile=volatile, persistent=persistent).id], timeout=1800)


@group.command("take-back")
@click.argument("name")
def take_back(name: str) -> None:
    """Take back a node that was given up: it is a node again, disabled."""
    actor, node = _found(name)
    giving_up.take_back(actor, node)


@group.command("replace")
@click.argument("name")
@click.option("--accept", default="", metavar="SHA256:…", help="Fingerprint of the new host key, as shown on the host.")
@click.option("--password", is_flag=True, help="Ask for the user's password once, to install Ravada's key.")
@volatile_option
@click.option("--lost", is_flag=True, help="Its persistent desktops are lost: give them up.")
@yes_option
def replace(name: str, accept: str, password: bool, volatile: str, lost: bool, yes: bool) -> None:
    """Join the host that shows another key at a node's address, as a new host in the node's place.

    Where the host turns out to be the node, it is the node again, and nothing else happens.
    """
    typed_password = click.prompt("Password", hide_input=True) if password else ""
    actor, node = _found(name)
    if not node.newcomer or accept not in ("", endpoints.fingerprint(node.new_host_key)):
        node = _looked_at(actor, node, accept, typed_password)
    click.echo(str(identification.said_of(node)) or f"{name} is the node itself, with a new host key")
    if not node.new_host_key:
        return
    shown = endpoints.fingerprint(node.new_host_key)
    typed = name_typed(name, yes, "Type the node's name to join it in the node's place")
    wait([replacing.replace(actor, node, replacing.Asked(volatile, lost, typed, shown)).id], timeout=1800)
    read_again()
    _require_sound(_found(name)[1])


def _looked_at(actor: User, node: Node, accept: str, password: str) -> Node:
    """The node, once the key of the host there was read and accepted, and the host was looked at."""
    name = node.name
    (read,) = wait([host_keys.request_rekey(actor, node).id], timeout=60)
    accepted = accept or confirmed(name, read.result["fingerprint"])
    (looked,) = wait_over([host_keys.accept_join(actor, read.id, accepted).id], timeout=120)
    if looked.state != OperationState.DONE and password:
        wait([key_install.request_key_install(actor, _found(name)[1], password).id], timeout=180)
    elif looked.state != OperationState.DONE:
        raise RavadaError(f"{looked.title}: {looked.error}")
    read_again()
    return _found(name)[1]


def _require_sound(node: Node) -> None:
    failed = [finding for finding in findings_of(node) if finding.state == "fail"]
    if failed:
        raise RavadaError(" ".join(map(in_words, failed)))
