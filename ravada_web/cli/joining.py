"""`flask nodes join`: the steps of the guided page, for one node or for many side by side."""

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import click
from flask import Flask, current_app

from ravada_web.cli.common import administrator, wait
from ravada_web.errors import NotFound, RavadaError
from ravada_web.messages import MessageError
from ravada_web.models import Node, Operation
from ravada_web.services.joining import host_keys, inspection, key_install, remedies, verification
from ravada_web.services.joining.checks.findings import Finding, findings_of
from ravada_web.services.lifecycle import service_state
from ravada_web.services.nodes import listing as node_list
from ravada_web.services.transaction import read_again

AT_ONCE = 16


@dataclass(frozen=True)
class Options:
    """How far to go by ourselves; `password` is "" where the key is there already."""

    install: bool
    unverified: bool
    password: str = field(repr=False)


@dataclass(frozen=True)
class Place:
    """A host to join, with the fingerprint that it must show ("" asks for it)."""

    name: str
    address: str
    fingerprint: str
    user: str = "root"
    port: int = 22

    @classmethod
    def parse(cls, line: str) -> "Place":
        """From a line of a file: NAME ADDRESS FINGERPRINT [USER [PORT]]. Raises ClickException."""
        words = line.split()
        if not 3 <= len(words) <= 5 or (len(words) == 5 and not words[4].isdecimal()):
            raise click.ClickException(f"not NAME ADDRESS FINGERPRINT [USER [PORT]]: {line.strip()}")
        name, address, fingerprint, user, port = (*words, *("root", "22")[len(words) - 3 :])
        return cls(name, address, fingerprint, user, int(port))


def join_many(places: Sequence[Place], options: Options) -> None:
    """Take every host through the steps, side by side. Raises ClickException if one was left behind."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    with ThreadPoolExecutor(AT_ONCE) as threads:
        # The first node of all becomes the master: that is to be the first one of the list.
        first = [_outcome(app, place, options) for place in places[:1]]
        rest = threads.map(lambda place: _outcome(app, place, options), places[1:])
        failed = [error for error in (*first, *rest) if error]
    if failed:
        raise click.ClickException(f"{len(failed)} of {len(places)} not joined; fix the cause, then run this again")


def _outcome(app: Flask, place: Place, options: Options) -> str:
    """Join one; returns what went wrong, "" where nothing did."""
    with app.app_context():
        try:
            _join(place, options)
        except click.Abort:
            raise
        except (MessageError, click.ClickException) as error:
            click.echo(f"node {place.name}: {error}", err=True)
            return str(error)
        except Exception as error:  # noqa: BLE001  whatever it is, the other nodes are joined all the same
            click.echo(f"node {place.name}: {error!r}", err=True)
            return repr(error)
    click.echo(f"node {place.name} joined")
    return ""


def _join(place: Place, options: Options) -> None:
    known = _known(place)
    _wait_however_it_ends(inspection.request_inspection(administrator(), known) if known else _accept_host_key(place))
    if not _node(place).access and options.password:
        wait([key_install.request_key_install(administrator(), _node(place), options.password).id], timeout=180)
    elif not _node(place).access:
        # Where we are not let in, this says why.
        wait([inspection.request_inspection(administrator(), _node(place)).id], timeout=120)
    if options.install:
        _fix(place)
    _verify(_node(place), options)


def _fix(place: Place) -> None:
    """Fix what can be fixed, each once: a host that has just been given its libvirt lacks a pool and a network."""
    tried: set[str] = set()
    while codes := [item.code for item in remedies.remedies(_node(place)) if item.code not in tried]:
        wait([remedies.request_fix(administrator(), _node(place), codes).id], timeout=1800)
        tried.update(codes)


def _known(place: Place) -> Node | None:
    """The node that was added for this place, as it is now."""
    read_again()
    try:
        node = node_list.by_name(administrator(), place.name)
    except NotFound:
        return None
    return node if node.address == place.address else None


def _node(place: Place) -> Node:
    node = _known(place)
    if node is None:
        raise RavadaError(f"node {place.name} was removed in the meantime")
    return node


def _accept_host_key(place: Place) -> Operation:
    """Read the host key and have it accepted: what follows is the inspection."""
    scan = host_keys.request_join(
        administrator(), name=place.name, address=place.address, port=place.port, user=place.user
    )
    (read,) = wait([scan.id], timeout=60)
    accepted = place.fingerprint or confirmed(place.name, read.result["fingerprint"])
    return host_keys.accept_join(administrator(), read.id, accepted)


def confirmed(name: str, seen: str) -> str:
    """The fingerprint that was seen, once a person says that it is right. Raises ClickException without a person."""
    if not sys.stdin.isatty():
        raise click.ClickException(f"the host key of {name} is {seen}; if it matches, add --accept {seen}")
    click.confirm(f"The host key of {name} is {seen}. Does it match the one shown on the host?", abort=True)
    return seen


def _wait_however_it_ends(operation: Operation) -> None:
    """Wait for it, however it ends: the step after it looks at what the node is then."""
    try:
        wait([operation.id], timeout=120)
    except RavadaError:
        read_again()


def _verify(node: Node, options: Options) -> None:
    failed = [finding for finding in findings_of(node) if finding.state == "fail"]
    try:
        if failed:
            raise RavadaError(" ".join(map(in_words, failed)))
        wait([verification.request_verification(administrator(), node).id], timeout=180)
    except RavadaError:
        if not options.unverified:
            raise
        read_again()
        service_state.set_service_state(administrator(), node, "enabled", unverified=True)


def in_words(finding: Finding) -> str:
    """What a check found, with the command that fixes it."""
    return str(finding.text) + (f"\n    {finding.remedy}\n" if finding.remedy else "")
