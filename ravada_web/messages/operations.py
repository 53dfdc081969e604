"""What is said of operations."""

from ravada_web.messages.marks import Template

TEXTS: dict[str, Template] = {}
