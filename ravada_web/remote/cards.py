"""A host's network cards: in which networks they are, and whether a packet can wake the host by them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Interface
from typing import Any

# Far more than a host has.
MOST_CARDS, MOST_ADDRESSES = 100, 20
# A bridge over a bond over cards.
MOST_LAYERS = 4
NAME = re.compile(r"[A-Za-z0-9_.:-]{1,15}")
MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
# Whether the card wakes its host: it does, it could but is not set to, it cannot, or nobody can tell (no ethtool).
READY, UNSET, CANNOT, UNKNOWN = "ready", "unset", "cannot", "unknown"
WAKES = (READY, UNSET, CANNOT, UNKNOWN)
# As a host tells it, for each name of a card: its MAC address, what it is a port of, whether it wakes the host.
SCRIPT = """
wakes() {
    [ -e "/sys/class/net/$1/device" ] || { echo cannot; return; }
    PATH=$PATH:/usr/sbin:/sbin
    command -v ethtool >/dev/null || { echo unknown; return; }
    LC_ALL=C ethtool "$1" 2>/dev/null | awk '/Supports Wake-on:/ { can = $3; next } /Wake-on:/ { set = $2 }
        END { print can !~ /g/ ? "cannot" : set ~ /g/ ? "ready" : "unset" }'
}
nic() {
    over=$(readlink "/sys/class/net/$1/master")
    printf 'nic\\0%s\\0' "$1 $(cat "/sys/class/net/$1/address") $(wakes "$1") ${over##*/}"
}
addresses() {
    ip -o -4 addr show scope global 2>/dev/null | awk '{ print $2, $4 }' |
        while read -r said; do printf 'address\\0%s\\0' "$said"; done
    ip -4 route show default 2>/dev/null | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p' |
        while read -r said; do printf 'default\\0%s\\0' "$said"; done
}
"""


@dataclass(frozen=True)
class Nic:
    """A network card, or a bridge or bond of some. `over` is the bridge or bond that it is a port of; `addresses` are
    its IPv4 ones with their networks ("192.0.2.12/24"); `is_default` says that its network leads to all others."""

    name: str
    mac: str
    wakes: str
    over: str = ""
    addresses: tuple[str, ...] = ()
    is_default: bool = False

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Nic":
        """The card that JSON made this of."""
        return cls(**{**stored, "addresses": tuple(stored["addresses"])})


def parse(pairs: Iterable[tuple[str, str]]) -> tuple[Nic, ...]:
    """Read what the script says, a kind and a line by turns; what is none of it is passed over."""
    nics: dict[str, Nic] = {}
    for kind, line in pairs:
        words = line.split()
        if kind == "nic" and len(words) in (3, 4) and len(nics) < MOST_CARDS:
            name, mac, wakes, over = (*words, "")[:4]
            if NAME.fullmatch(name) and MAC.fullmatch(mac) and wakes in WAKES:
                nics[name] = Nic(name, mac, wakes, over if NAME.fullmatch(over) else "")
        elif kind == "address" and len(words) == 2 and words[0] in nics:
            nic = nics[words[0]]
            if _interface(words[1]) and len(nic.addresses) < MOST_ADDRESSES:
                nics[nic.name] = replace(nic, addresses=(*nic.addresses, words[1]))
        elif kind == "default" and len(words) == 1 and words[0] in nics:
            nics[words[0]] = replace(nics[words[0]], is_default=True)
    return tuple(nics.values())


def waking(nics: Sequence[Nic], address: str) -> Nic | None:
    """The card by which a host that is reached at an address would be woken, with the addresses of the bridge or bond
    that it is a port of. None where no card is known that leads there."""
    at = [nic for nic in nics if any(each.partition("/")[0] == address for each in nic.addresses)]
    found = next(iter(at or [nic for nic in nics if nic.is_default]), None)
    if found is None:
        return None
    port = found
    for _layer in range(MOST_LAYERS):
        ports = [nic for nic in nics if nic.over == port.name]
        if not ports:
            break
        port = min(ports, key=lambda nic: WAKES.index(nic.wakes))
    return replace(port, addresses=found.addresses)


def broadcast_beside(nics: Sequence[Nic], addresses: Sequence[str]) -> str:
    """The broadcast address of a network in which a host of these cards is beside one of these addresses; "" where
    there is none. Hosts that have an address alike, as of a bridge of their own each, are not beside each other."""
    wanted = {found.ip for each in addresses if (found := _interface(each))}
    own = [found for nic in nics for each in nic.addresses if (found := _interface(each))]
    for interface in own:
        beside = interface.ip not in wanted and any(address in interface.network for address in wanted)
        if beside and _has_broadcast(interface):
            return str(interface.network.broadcast_address)
    return ""


def _has_broadcast(interface: IPv4Interface) -> bool:
    return interface.network.num_addresses > 2


def _interface(said: str) -> IPv4Interface | None:
    try:
        return IPv4Interface(said)
    except ValueError:
        return None
