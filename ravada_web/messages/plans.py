"""What is said of plans of moves: drains, what comes home, and loads that are spread anew."""

from ravada_web.messages.marks import N_, Plural, Template
from ravada_web.messages.message import Message, message

TEXTS: dict[str, Template] = {
    # Why a desktop waits or stays
    "plans.drain_in_use": N_("It is running: it waits until it is shut down."),
    "plans.drain_runs": N_("It is running."),
    "plans.drain_base_missing": N_("The disks of its base are brought to node %(node)s first."),
    "plans.busy": N_("It is %(state)s: that comes first."),
    "plans.stuck": N_("It is %(state)s. %(why)s"),
    "plans.no_place": N_("No other node takes it: %(blocked_clauses)s."),
    "plans.no_other_node": N_("There is no other node."),
    "plans.not_looked_at": N_("Not looked at yet."),
    # What became of one
    "plans.deleted": N_("It was deleted meanwhile."),
    "plans.elsewhere": N_("Somebody moved it to node %(node)s."),
    "plans.move_cancelled": N_("Somebody cancelled its move."),
    "plans.not_started": N_("It has moved, but was not started again: %(why)s"),
    "plans.node_changed": N_("Node %(node)s was taken out of the plan: its state was changed."),
    "plans.was_cancelled": N_("The plan was cancelled."),
    # How plans end
    "plans.done": Plural("%(count)s desktop dealt with.", "%(count)s desktops dealt with."),
    "plans.stopped": Plural(
        "%(count)s desktop is still there: %(names)s.", "%(count)s desktops are still there: %(names)s."
    ),
    "plans.nobody": N_("Whoever asked for this may no longer change nodes."),
    "plans.cancelled_by": N_("Cancelled by %(name)s."),
    "plans.over_already": N_("This plan is over already."),
    "plans.no_such": N_("There is no such plan."),
    # Why a drain cannot be asked for
    "plans.no_node": N_("Select at least one node."),
    "plans.range": N_("Enter a number between %(least)s and %(most)s."),
    "plans.draining_already": N_("Node %(node)s is being drained already."),
    "plans.node_not_up": N_("Node %(node)s does not answer, so nothing can be moved from there."),
    "plans.users_until": N_("users may stay until %(until_at)s"),
}


def busy(state: Message) -> Message:
    """Other work on it comes first."""
    return message("plans.busy", state=state)
