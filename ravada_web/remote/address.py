"""What an address and a user of a host may be: all that OpenSSH takes, and nothing that it refuses."""

import ipaddress
import re

from ravada_web.messages import NOTHING, Message, message

# getaddrinfo(3) and DNS: labels of up to 63 characters; underscores are common, a dot at the end means "from the root".
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}(\.[A-Za-z0-9_][A-Za-z0-9_-]{0,62})*\.?")
LONGEST_NAME = 253
# An interface's name, or its number.
_ZONE = re.compile(r"[A-Za-z0-9_.:@-]{1,15}")
# ssh(1) refuses these in a user's name: they could be taken for an option, or by a shell.
_NOT_IN_USER = re.compile(r"""[\s'"`$;&<>|(){}]""")
LONGEST_USER = 64


def address_fault(text: str) -> Message:
    """What is wrong with a host name or an IP address; an empty message where OpenSSH can connect to it."""
    if "%" in text:
        return _zone_fault(text)
    if (ip := _ip(text)) is not None:
        return message("remote.zone_missing", address=text) if _is_link_local(ip) else NOTHING
    if "@" in text:
        return message("remote.user_in_address")
    if _is_ascii_name(text):
        return NOTHING
    return message("remote.bad_address")


def user_fault(text: str) -> Message:
    """What is wrong with a user's name; an empty message where OpenSSH takes it."""
    if not text or not text.isprintable() or text.startswith("-") or text.endswith("\\"):
        return message("remote.bad_user")
    if len(text) > LONGEST_USER or not text.isascii():
        return message("remote.bad_user")
    if found := _NOT_IN_USER.search(text):
        return message("remote.bad_user_character", character=found[0])
    return NOTHING


def is_link_local(address: str) -> bool:
    """Whether it is an address that counts on one link alone, with or without the link's zone."""
    ip = _ip(address)
    return ip is not None and _is_link_local(ip)


def without_zone(address: str) -> str:
    """The address without the interface behind a percent sign, which means something on one host alone."""
    return address.partition("%")[0]


def _zone_fault(text: str) -> Message:
    address, _percent, zone = text.partition("%")
    ip = _ip(address)
    if ip is None:
        return message("remote.bad_address")
    if not _is_link_local(ip):
        return message("remote.zone_elsewhere", address=address)
    return NOTHING if _ZONE.fullmatch(zone) else message("remote.bad_zone")


def _is_ascii_name(text: str) -> bool:
    return len(text.removesuffix(".")) <= LONGEST_NAME and _NAME.fullmatch(text) is not None


def _is_link_local(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """IPv4 has such addresses too, but the kernel finds their interface by itself."""
    return ip.version == 6 and ip.is_link_local


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
