"""What files in a pool are."""

from ravada_web.web.rendering import later as _l

FILES = {
    "base": _l("Bases"),
    "clone": _l("Clones"),
    "orphan": _l("Orphaned files"),
    "other": _l("Other files"),
}
