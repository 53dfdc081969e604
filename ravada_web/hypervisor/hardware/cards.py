"""Rules for network cards."""

from ravada_web.hypervisor.hardware.rules import Place, Rule, attribute, both, is_one_of, shown, without
from ravada_web.needs import Need, NeedKind


def _plugged(card_type: str, kind: NeedKind, said: str, name: str) -> Rule:
    """A card that is plugged to something that a node has by name."""
    return Rule(
        "kept",
        said,
        test=both(is_one_of("type", card_type), lambda place: bool(place.get(name, "source"))),
        figures=attribute(name, "source", figure="name"),
        needs=lambda place: [Need(kind, place.get(name, "source"))],
    )


def _type(place: Place) -> dict[str, str]:
    return {"type": shown(place.get("type"))}


CARD = (
    # Plugged to something of this host alone: a socket, a tap, a device, a peer at an address.
    Rule(
        "dropped",
        "card_of_host",
        test=lambda place: place.get("type") not in ("network", "bridge", "direct", "user"),
        figures=_type,
        gone=True,
    ),
    Rule("fitted", "card_mac", where="mac", gone=True),
    Rule("dropped", "card_device", where="target", test=lambda place: bool(place.get("dev")), gone=True),
    Rule("dropped", "host_file", where="script", figures=attribute("path"), gone=True),
    Rule(
        "dropped",
        "host_file",
        where="rom",
        test=lambda place: bool(place.get("file")),
        figures=attribute("file", figure="path"),
        gone=True,
    ),
    Rule("dropped", "card_backend", where="backend", gone=True),
    Rule("dropped", "card_ports", where="portForward", gone=True),
    Rule("dropped", "card_team", where="teaming", gone=True),
    Rule(
        "fitted",
        "card_port_id",
        where="virtualport/parameters",
        test=lambda place: bool(place.get("interfaceid")),
        change=without("interfaceid"),
    ),
    Rule(
        "kept",
        "card_filter",
        where="filterref",
        figures=attribute("filter", figure="name"),
        needs=lambda place: [Need("nwfilter", place.get("filter"))],
    ),
    _plugged("network", "network", "card_network", "network"),
    _plugged("bridge", "bridge", "card_bridge", "bridge"),
    _plugged("direct", "interface", "card_direct", "dev"),
)
