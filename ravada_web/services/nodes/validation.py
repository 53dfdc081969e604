"""What the name and address of a node may be."""

import ipaddress
import re

from flask_babel import gettext as _
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import (
    Node,
)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


def invalid_place(
    name: str, address: str, port: int, user: str, *, except_id: int | None = None, local: bool = False
) -> dict[str, str]:
    """What is wrong with a node's name and address: malformed, or another node's. Maps fields to reasons."""
    wrong = {}
    if not NAME.fullmatch(name):
        wrong["name"] = _("Letters, digits, dots, dashes and underscores; it starts with a letter or digit.")
    elif db.session.scalar(select(Node.id).where(Node.name == name, Node.id != except_id)):
        wrong["name"] = _("Another node has this name.")
    if not local:
        wrong |= _invalid_address(address, port, except_id)
        if not USER.fullmatch(user):
            wrong["user"] = _("A user name of that host, such as root.")
    return wrong


def _invalid_address(address: str, port: int, except_id: int | None) -> dict[str, str]:
    if not 1 <= port <= 65535:
        return {"port": _("Between 1 and 65535.")}
    if not (HOST.fullmatch(address) or is_ip(address)):
        return {"address": _("A host name or an IP address, without scheme, user or port.")}
    taken = select(Node.name).where(Node.address == address, Node.port == port, Node.id != except_id)
    if other := db.session.scalar(taken):
        return {"address": _("Node %(name)s has this address already.", name=other)}
    return {}


def is_ip(address: str) -> bool:
    """Whether the text is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True
