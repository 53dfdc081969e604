"""What the name and address of a node may be."""

import ipaddress
import re

from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.messages import Message, message
from ravada_web.models import (
    Node,
)
from ravada_web.remote.address import address_fault, user_fault

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def invalid_place(
    name: str, address: str, port: int, user: str, *, except_id: int | None = None, local: bool = False
) -> dict[str, Message]:
    """What is wrong with a node's name and address: malformed, or another node's. Maps fields to reasons."""
    wrong: dict[str, Message] = {}
    if not NAME.fullmatch(name):
        wrong["name"] = message("nodes.bad_name")
    elif db.session.scalar(select(Node.id).where(Node.name == name, Node.id != except_id)):
        wrong["name"] = message("nodes.name_taken")
    if not local:
        wrong |= _invalid_address(address, port, except_id)
        if fault := user_fault(user):
            wrong["user"] = fault
    return wrong


def _invalid_address(address: str, port: int, except_id: int | None) -> dict[str, Message]:
    if not 1 <= port <= 65535:
        return {"port": message("nodes.bad_port")}
    if fault := address_fault(address):
        return {"address": fault}
    query = select(Node.name).where(Node.address == address, Node.port == port, Node.id != except_id)
    if other := db.session.scalar(query):
        return {"address": message("nodes.address_taken", node=other)}
    return {}


def is_ip(address: str) -> bool:
    """Whether the text is an IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True
