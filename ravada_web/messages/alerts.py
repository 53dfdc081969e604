"""What is said of alerts."""

from ravada_web.messages.marks import Template

TEXTS: dict[str, Template] = {}
