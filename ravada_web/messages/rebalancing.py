"""What is said of plans that make the load of the nodes even."""

from ravada_web.messages.marks import N_, Plural, Template

TEXTS: dict[str, Template] = {
    # Why a desktop is to move
    "rebalancing.evens_clones": Plural(
        "%(source)s has %(count)s desktop, %(target)s has %(there)s.",
        "%(source)s has %(count)s desktops, %(target)s has %(there)s.",
    ),
    "rebalancing.evens_memory": N_(
        "Running desktops use %(here_percent)s of the memory of %(source)s, and %(there_percent)s of %(target)s’s."
    ),
    # Why a plan cannot be begun
    "rebalancing.nothing": N_("Select at least one desktop."),
    "rebalancing.stale": Plural(
        "The cluster has changed: %(count)s of the selected moves no longer helps. Review the new plan.",
        "The cluster has changed: %(count)s of the selected moves no longer help. Review the new plan.",
    ),
    "rebalancing.under_way": N_("The nodes are being rebalanced already."),
    "rebalancing.range": N_("Enter a number between %(least)s and %(most)s."),
    # What the log says of one that was begun, and why
    "rebalancing.begun": Plural("%(count)s desktop, %(why)s", "%(count)s desktops, %(why)s"),
    "rebalancing.by_hand": N_("as %(name)s asked"),
    "rebalancing.by_itself": N_(
        "by itself: the imbalance was over %(over_percent)s for %(held_seconds)s, at last %(now_percent)s"
    ),
    "rebalancing.never_by_itself": N_("not by themselves"),
    "rebalancing.set": N_("by themselves when the imbalance is over %(over_percent)s for %(held_seconds)s"),
}
