"""The audit log: what is written of many things at once."""

from ravada_web.services.audit import refusals


def write_refusals() -> None:
    """Write the refused requests that were counted."""
    refusals.write_waiting()
