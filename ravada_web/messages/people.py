"""What is said of people."""

from ravada_web.messages.marks import Template

TEXTS: dict[str, Template] = {}
