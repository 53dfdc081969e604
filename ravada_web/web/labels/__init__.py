"""Labels: how states, kinds and roles are shown on pages, a file for each topic."""

from ravada_web.web.labels import (
    alerts,
    audit,
    bases,
    clones,
    joining,
    moves,
    nodes,
    operations,
    people,
    plans,
    storage,
)

__all__ = [
    "alerts",
    "audit",
    "bases",
    "clones",
    "joining",
    "moves",
    "nodes",
    "operations",
    "people",
    "plans",
    "storage",
]
