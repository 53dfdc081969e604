"""What nodes offer to bases, by what the last look at them saw; and what bases need of nodes."""

from functools import lru_cache

from sqlalchemy import select
from sqlalchemy.orm import Session, load_only

from ravada_web.guard import guarded
from ravada_web.hypervisor.facts import NodeFacts
from ravada_web.hypervisor.hardware.analysis import analyse
from ravada_web.messages import Message
from ravada_web.models import Base, Node
from ravada_web.needs import Need, NeedKind, Offers
from ravada_web.remote.offers import HostOffers

# Firmware files of so many bases at most are looked for on each node.
MOST_FILES = 200


def offered(facts: NodeFacts, host: HostOffers | None) -> dict[str, list[str]]:
    """What libvirt and the host itself offer, by the kind of need, as plain JSON types. Of a host that has not been
    looked at yet, neither its bridges and cards nor all of its firmware are known."""
    offers = {kind: list(values) for kind, values in facts.offers.items()}
    firmware = offers.pop("firmware", [])
    if host is None:
        return offers
    found = sorted({*firmware, *host.files})
    return offers | {"firmware": found, "bridge": list(host.bridges), "interface": list(host.cards)}


def offers_of(node: Node) -> Offers:
    """What the node offers, as last seen; nothing of a node that was never asked is known."""
    offers: Offers = node.facts.get("offers", {})
    return offers


def needs_of(base: Base) -> tuple[Need, ...]:
    """What the base needs of a node; of one imported before needs were kept, as its template says."""
    if base.needs is None:
        return _needs_of_template(base.template_xml)
    return tuple(Need.from_dict(need) for need in base.needs)


@lru_cache(maxsize=256)
def _needs_of_template(template: str) -> tuple[Need, ...]:
    return analyse(template).needs


def _none_of_it(_reason: Message) -> None:
    """A base that cannot be read keeps no node from being checked; whoever clones it is told."""


def firmware_files(session: Session) -> tuple[str, ...]:
    """The files of UEFI firmware that bases need, for nodes to be asked about."""
    return tuple(sorted(file for file in _needed(session, "firmware") if file.startswith("/")))[:MOST_FILES]


def networks_used(session: Session) -> frozenset[str]:
    """The names of the networks that bases need."""
    return frozenset(_needed(session, "network"))


def _needed(session: Session, kind: NeedKind) -> set[str]:
    """What bases need of one kind."""
    needs: set[Need] = set()
    for base in session.scalars(select(Base).options(load_only(Base.needs, Base.template_xml))):
        with guarded(_none_of_it, base=base.id):
            needs.update(needs_of(base))
    return {need.value for need in needs if need.kind == kind}
