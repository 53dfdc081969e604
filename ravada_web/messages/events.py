"""What is said of events."""

from ravada_web.messages.marks import Template

TEXTS: dict[str, Template] = {}
