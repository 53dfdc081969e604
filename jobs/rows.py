"""Jobs about rows that grow."""

from ravada_web.services.retention import thinning


def thin() -> None:
    """Archive some of the rows that are too old."""
    thinning.thin()
