"""A decision in words, for who asked for more than fits."""

from ravada_web.placement.types import Decision


def explain_shortage(decision: Decision) -> str:
    """How many of the requested clones fit, and what blocks the next one on each node; alike reasons are grouped."""
    blocked: dict[str, list[str]] = {}
    for verdict in decision.verdicts:
        if verdict.reason is not None:
            blocked.setdefault(verdict.reason.text, []).append(verdict.node_name)
    groups = "; ".join(f"{', '.join(names)}: {text}" for text, names in blocked.items())
    fit = f"{decision.fits:,} of the {decision.requested:,} clones fit, so none was created."
    if not groups:
        return f"{fit} There are no nodes yet."
    return f"{fit} What blocks the next one: {groups}."
