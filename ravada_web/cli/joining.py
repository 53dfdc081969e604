"""`flask nodes join`: the steps of the guided page, for one node or for many side by side."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import click

from ravada_web.cli.common import administrator, wait
from ravada_web.errors import RavadaError
from ravada_web.extensions import db
from ravada_web.models import Node, Operation
from ravada_web.services import inspecting, mending, node_access, node_joining, node_settings, nodes, proving


@dataclass(frozen=True)
class Options:
    """How far to go by ourselves; `password` is "" where the key is there already."""

    install: bool
    unproved: bool
    password: str = field(repr=False)


@dataclass(frozen=True)
class Place:
    """A host to join, with the fingerprint that it must show."""

    name: str
    address: str
    fingerprint: str
    user: str = "root"
    port: int = 22

    @classmethod
    def parse(cls, line: str) -> "Place":
        """From a line of a file. Raises ClickException for one that is malformed."""
        words = line.split()
        if not 3 <= len(words) <= 5 or (len(words) == 5 and not words[4].isdecimal()):
            raise click.ClickException(f"not NAME ADDRESS FINGERPRINT [USER [PORT]]: {line.strip()}")
        return cls(words[0], words[1], words[2], *words[3:4], **({"port": int(words[4])} if len(words) == 5 else {}))


def join_many(places: Sequence[Place], options: Options) -> None:
    """Take every host through the steps, all of a step side by side. Raises ClickException if one was left behind."""
    left = list(places)
    failed: dict[str, str] = {}
    steps = [_trust, _let_in, _mend, _prove] if options.install else [_trust, _let_in, _prove]
    for step in steps:
        left = _all(step, left, options, failed)
    for place in left:
        click.echo(f"node {place.name} joined")
    for name, error in failed.items():
        click.echo(f"node {name}: {error}", err=True)
    if failed:
        raise click.ClickException(f"{len(failed)} of {len(places)} not joined; mend that and run the same again")


Step = Callable[[Place, Options], list[int]]


def _all(step: Step, places: list[Place], options: Options, failed: dict[str, str]) -> list[Place]:
    """Begin a step for all, then wait for each; those that failed go no further."""
    begun: list[tuple[Place, list[int]]] = []
    for place in places:
        try:
            begun.append((place, step(place, options)))
        except RavadaError as error:
            failed[place.name] = str(error)
    for place, operations in begun:
        try:
            wait(operations, timeout=1800)
        except RavadaError as error:
            failed[place.name] = str(error)
    return [place for place, _operations in begun if place.name not in failed]


def _known(place: Place) -> Node | None:
    db.session.rollback()
    rows = (row.node for row in nodes.listing(administrator()))
    return next((node for node in rows if node.name == place.name and node.address == place.address), None)


def _node(place: Place) -> Node:
    node = _known(place)
    assert node is not None, "it was written by the step before"
    return node


def _trust(place: Place, _options: Options) -> list[int]:
    """Read the host key and have it accepted; a node that is known already goes on from there."""
    if (known := _known(place)) is not None:
        return [inspecting.begin_inspection(administrator(), known).id] if known.access else []
    where = {"name": place.name, "address": place.address, "port": place.port, "user": place.user}
    (scan,) = wait([node_joining.begin_join(administrator(), **where).id], timeout=60)
    accepted = place.fingerprint or _asked(place, scan.result["fingerprint"])
    joined = node_joining.accept_join(administrator(), scan.id, accepted)
    _settle(joined)
    return []


def _settle(operation: Operation) -> None:
    """Wait for it, however it ends: the step after it looks at what the node is then."""
    try:
        wait([operation.id], timeout=120)
    except RavadaError:
        db.session.rollback()


def _asked(place: Place, seen: str) -> str:
    if not sys.stdin.isatty():
        raise click.ClickException(f"the host key of {place.name} is {seen}; if that is right, add --accept {seen}")
    click.confirm(f"The host key of {place.name} is {seen}. Is it the one that the host itself shows?", abort=True)
    return seen


def _let_in(place: Place, options: Options) -> list[int]:
    """Have our key let in, if it is not yet."""
    node = _node(place)
    if node.access:
        return []
    if options.password:
        return [node_access.begin_key(administrator(), node, options.password).id]
    return [inspecting.begin_inspection(administrator(), node).id]


def _mend(place: Place, _options: Options) -> list[int]:
    """Run the remedies of what failed."""
    node = _node(place)
    codes = [finding["code"] for finding in mending.remedies(node)]
    return [mending.begin_mending(administrator(), node, codes).id] if codes else []


def _prove(place: Place, options: Options) -> list[int]:
    """Prove it; what failed before is told, as it would fail here too."""
    node = _node(place)
    failed = [finding for finding in node.findings if finding["state"] == "fail"]
    if options.unproved:
        node_settings.set_wanted(administrator(), node, "enabled", unproved=True)
        return []
    if failed:
        raise RavadaError(" ".join(_told(finding) for finding in failed))
    return [proving.begin_proof(administrator(), node).id]


def _told(finding: dict[str, str]) -> str:
    return finding["text"] + (f"\n    {finding['remedy']}\n" if finding["remedy"] else "")
