"""What is said of consoles."""

from ravada_web.messages.marks import Template

TEXTS: dict[str, Template] = {}
