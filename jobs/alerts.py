"""Telling of trouble."""

from ravada_web.services import telling


def tell() -> None:
    """Tell administrators what is due."""
    telling.tell()
