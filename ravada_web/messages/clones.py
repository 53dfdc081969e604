"""What is said of clones."""

from ravada_web.messages.marks import Template

TEXTS: dict[str, Template] = {}
