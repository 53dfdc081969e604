"""What is said of people."""

from ravada_web.messages.marks import N_, Template

TEXTS: dict[str, Template] = {
    "people.no_language": N_("Choose one of the languages listed."),
}
