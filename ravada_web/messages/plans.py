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
    # What becomes of desktops, as headings and what they mean
    "plans.hint_live": N_("They go on running, and their consoles follow."),
    "plans.hint_cold": N_("They are off: their disks are copied and verified, then they are on the other node."),
    "plans.hint_shut_down": N_(
        "Users may stay until %(until_at)s. Then they are shut down, moved and started again on the other node."
    ),
    "plans.hint_throw_away": N_("They are volatile, and nobody works with them: all that is on them is deleted."),
    "plans.hint_wait": N_(
        "Users may stay until %(until_at)s. What still runs then is shut down; volatile ones are deleted by that."
    ),
    "plans.hint_wait_leave": N_("Users may stay until %(until_at)s. What still runs then stays on the node."),
    "plans.hint_forced": N_("What does not follow within two minutes is forced off: what is not saved there is lost."),
    "plans.hint_stays": N_("They stay on the node, which is not empty then. The drain ends and says so."),
    "plans.room_whole": N_("Afterwards, any one of the other nodes can still fail: its desktops can be made again."),
    "plans.room_short": N_(
        "Afterwards, %(missing_mib)s of memory are missing to make the desktops of %(node)s again if it fails."
    ),
    "plans.progress": N_("%(done)s of %(count)s done."),
    "plans.time_left": N_("About %(left_seconds)s left."),
    # What users are told
    "plans.told_live": N_("This desktop will be moved to another host. You can go on working."),
    "plans.told_shut_down": N_(
        "This desktop shuts down at %(until_at)s, is moved to another host and starts again there. Save your work."
    ),
    "plans.told_deleted": N_(
        "This desktop shuts down at %(until_at)s, and is deleted by that. Save your files elsewhere before."
    ),
    "plans.told_wait": N_("Please shut this desktop down when you are done: it is to be moved to another host."),
    "plans.told_starts": N_("This desktop is being moved to another host. It starts as soon as it is there."),
    "plans.told_off": N_("This desktop is moved to another host. Launched now, it starts as soon as it is there."),
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
    "plans.in_the_past": N_("This moment is in the past."),
    "plans.stale": N_("Something has changed on the node meanwhile. Look at the list again, then confirm."),
    "plans.home_closed": N_("Enable node %(node)s first, and wait until it is up: then its desktops can come back."),
    "plans.coming_home": N_("The desktops of node %(node)s are being brought back already."),
    "plans.none_away": N_("No desktop that was moved away from node %(node)s is still where it was brought."),
    "plans.users_until": N_("users may stay until %(until_at)s"),
}


def busy(state: Message) -> Message:
    """Other work on it comes first."""
    return message("plans.busy", state=state)
