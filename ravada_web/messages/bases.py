"""What is said of bases."""

from ravada_web.messages.marks import Template

TEXTS: dict[str, Template] = {}
