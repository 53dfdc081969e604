"""What is said of storage."""

from ravada_web.messages.marks import Template

TEXTS: dict[str, Template] = {}
