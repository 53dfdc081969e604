"""Addresses of browsers and of the proxies before us: which count as one, and which are believed."""

from collections.abc import Collection, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
# One customer of a provider has a whole /64 (RFC 6177), and can call from each of its addresses.
_ONE_CUSTOMER = 64
_BROADCAST = "255.255.255.255/32"
_MAPPED = IPv6Network("::ffff:0:0/96")


def counted(text: str) -> str:
    """Returns what is counted as one place: an IPv4 address itself, of an IPv6 address its /64 network.

    An IPv4 address that is written as IPv6 (`::ffff:192.0.2.1`) is the IPv4 address; what is no address is itself.
    """
    address = parsed(text)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, _ONE_CUSTOMER), strict=False))
    return str(address) if address else text


def parsed(text: str) -> Address | None:
    """Returns the address, an IPv4 address that is written as IPv6 as the former, without its zone; None for none."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def network(text: str) -> Network:
    """Returns the network of an address or a prefix (`10.0.0.0/8`). Raises ValueError, saying why, for what no browser
    or proxy can come from."""
    plain = text.strip()
    if not plain:
        raise ValueError("an empty text is no address")
    try:
        wide = ip_network(plain, strict=False)
    except ValueError:
        raise ValueError(f"{plain} is neither an IP address nor a network such as 10.0.0.0/8") from None
    if isinstance(wide, IPv6Network) and wide.network_address.scope_id:
        raise ValueError(f"{plain} has a zone, which connections do not show; leave out the part from %")
    if ip_address(plain.partition("/")[0]) != wide.network_address:
        raise ValueError(f"{plain} has bits set beyond its prefix; the network is {wide}")
    found = _unmapped(wide)
    if found.is_multicast or (found.num_addresses == 1 and (found.is_unspecified or str(found) == _BROADCAST)):
        raise ValueError(f"nothing connects from {plain}")
    return found


def _unmapped(wide: Network) -> Network:
    if isinstance(wide, IPv6Network) and wide.subnet_of(_MAPPED):
        return IPv4Network((int(wide.network_address) & 0xFFFFFFFF, wide.prefixlen - 96))
    return wide


def trusted(text: str, networks: Collection[Network]) -> bool:
    """Whether the address is in one of these networks."""
    address = parsed(text)
    return address is not None and any(address in one for one in networks)


def client(peer: str, forwarded: str, networks: Sequence[Network]) -> str:
    """Returns the client's address: the connection's, or, where that is a trusted proxy's, the last one in
    `X-Forwarded-For` that is not.

    What stands before that, anybody can write. Where a proxy passes no address on, it is the client itself.
    """
    nearest = str(parsed(peer) or peer)
    for hop in reversed(forwarded.split(",")):
        if not trusted(nearest, networks):
            break
        address = parsed(hop.strip())
        if address is None:
            break
        nearest = str(address)
    return nearest
