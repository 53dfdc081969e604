"""What is said of joining."""

from ravada_web.messages.marks import Template

TEXTS: dict[str, Template] = {}
