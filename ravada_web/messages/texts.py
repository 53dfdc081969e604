"""The texts of all kinds, gathered from the topics' files; a kind's first word is its file's name."""

from ravada_web.messages import (
    alerts,
    bases,
    clones,
    consoles,
    desktops,
    fencing,
    general,
    hardware,
    hypervisor,
    joining,
    moves,
    needs,
    nodes,
    operations,
    people,
    placement,
    plans,
    remote,
    sign_in,
    storage,
)
from ravada_web.messages.marks import Template

TOPICS = (
    alerts,
    bases,
    clones,
    consoles,
    desktops,
    fencing,
    general,
    hardware,
    hypervisor,
    joining,
    moves,
    needs,
    nodes,
    operations,
    people,
    placement,
    plans,
    remote,
    sign_in,
    storage,
)
TEXTS: dict[str, Template] = {kind: template for topic in TOPICS for kind, template in topic.TEXTS.items()}
