"""Typing into a guest."""

from tests.lab.node import LabNode

KEYS = {" ": "SPACE", "=": "EQUAL", "/": "SLASH", ";": "SEMICOLON"}


def typed(host: LabNode, domain: str, line: str) -> None:
    """Type a line on a domain's keyboard."""
    for char in line:
        host.virsh("send-key", domain, "KEY_" + KEYS.get(char, char.upper()))
    host.virsh("send-key", domain, "KEY_ENTER")
