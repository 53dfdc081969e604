"""What is said of clones: what cannot be done to them, how work on them ended, and the titles of that work."""

from ravada_web.messages.marks import N_, Plural, Template
from ravada_web.messages.message import Message, message

TEXTS: dict[str, Template] = {
    # What cannot be done
    "clones.not_found": N_("Desktop not found."),
    "clones.no_such_name": N_("There is no clone named “%(name)s”."),
    "clones.skipped_for": N_("%(clones)s: %(why)s"),
    "clones.more": Plural("%(count)s more", "%(count)s more"),
    "clones.partly_start": N_("Starting %(done)s of %(count)s; %(skipped)s skipped."),
    "clones.partly_shut_down": N_("Shutting down %(done)s of %(count)s; %(skipped)s skipped."),
    "clones.partly_force_off": N_("Powering off %(done)s of %(count)s; %(skipped)s skipped."),
    "clones.partly_restart": N_("Restarting %(done)s of %(count)s; %(skipped)s skipped."),
    "clones.partly_delete": N_("Deleting %(done)s of %(count)s; %(skipped)s skipped."),
    # Why not, each a sentence that is true of many
    "clones.why_gone": N_("No longer exists."),
    "clones.why_already": N_("Already %(state)s."),
    "clones.why_state": N_("Not possible while %(state)s."),
    "clones.why_not_deletable": N_("Its base does not let users delete their desktops."),
    "clones.why_quarantined": N_("Node %(node)s presented a different host key from the accepted one."),
    "clones.why_given_up": N_("Node %(node)s was given up: it will not come back."),
    "clones.why_away": N_("Node %(node)s is not responding. %(why)s"),
    "clones.why_closed": N_("Node %(node)s is disabled."),
    "clones.why_memory": N_(
        "Node %(node)s does not have enough memory: %(need_mib)s needed, %(have_mib)s free after the %(reserve_mib)s "
        "reserved. Shut down other desktops, or try again later."
    ),
    "clones.why_processors": N_(
        "Node %(node)s has reached its CPU overcommit: %(need)s virtual processors needed, %(have)s left. Shut down "
        "other desktops, or try again later."
    ),
    "clones.why_other": N_("Node %(node)s: %(reason)s."),
    # The states in those
    "clones.state_requested": N_("waiting to be created"),
    "clones.state_creating": N_("being created"),
    "clones.state_stopped": N_("off"),
    "clones.state_starting": N_("starting"),
    "clones.state_running": N_("running"),
    "clones.state_paused": N_("paused"),
    "clones.state_stopping": N_("shutting down"),
    "clones.state_failed": N_("in a failed state"),
    "clones.state_unreachable": N_("unreachable"),
    "clones.state_moving": N_("being moved"),
    "clones.state_deleting": N_("being deleted"),
    # What a check saw
    "clones.vanished": N_("Its virtual machine no longer exists: someone removed it on the node."),
    "clones.away_refuses": N_("Its node %(node)s is on but does not let Ravada in; the desktop may still be running."),
    "clones.away_silent": N_("Its node %(node)s does not answer; whether the desktop is running is not known."),
    "clones.away_off": N_("Its node %(node)s is off."),
    "clones.away_shut_down": N_("Its node %(node)s is powered off."),
    # As it was kept before it was known how a node is away
    # Volatile clones of a dead node
    "clones.being_made_again": N_("Host %(node)s failed. This desktop is being made again on another host."),
    "clones.waits_for_room": N_(
        "Host %(node)s failed. This desktop is made again as soon as there is room on another host: number "
        "%(place)s of %(count)s waiting."
    ),
    "clones.disk_gone": N_("Host %(node)s was installed anew. The disks of this desktop are gone."),
    "clones.made_again_anew": N_(
        "Made again because host %(node)s was installed anew. What was in the former one is gone."
    ),
    "clones.made_again": N_(
        "Made again on another host because host %(node)s failed on %(died_at)s. What was in the former one is gone."
    ),
    "clones.title_remake": N_("Make the volatile clones of %(node)s again on other nodes"),
    "clones.remade_so_far": N_("%(done)s of %(count)s made again; %(waiting)s waiting for room."),
    "clones.remade": Plural("%(count)s clone", "%(count)s clones"),
    "clones.no_room_for_long": Plural(
        "%(count)s clone still waits for room on another node. It is tried again.",
        "%(count)s clones still wait for room on another node. It is tried again.",
    ),
    # A request for new ones
    "clones.count_range": N_("Enter a number between 1 and %(most)s."),
    "clones.prefix_malformed": N_("Use lower-case letters, digits and dashes, at most 40, with no dash at either end."),
    "clones.no_active_user": N_("No active user has this name."),
    "clones.base_not_prepared": N_("Select a base that has been prepared."),
    "clones.no_node_allowed": N_("No node may run %(base)s yet. Select nodes on its Nodes tab."),
    "clones.requested_for": Plural("%(count)s clone for %(owner)s", "%(count)s clones for %(owner)s"),
    # How work on them ended
    "clones.replica_gone": N_("Node %(node)s no longer has a copy of this base."),
    "clones.base_not_whole": N_(
        "The copy of the base on node %(node)s cannot be used right now. %(why)s Try again once it is ready."
    ),
    "clones.name_taken_on_node": N_(
        "Node %(node)s already has a virtual machine named %(name)s that is not one of ours. Rename that machine and "
        "retry, or delete this clone."
    ),
    "clones.some_failed": N_("%(failed)s of %(count)s failed."),
    "clones.off_so_far": N_("%(off)s of %(count)s off."),
    "clones.starting_again": N_("All are off. Starting them again."),
    "clones.node_silent": N_("Node %(node)s is not responding."),
    "clones.still_running": Plural(
        "%(names)s did not shut down within %(limit_seconds)s and is still running. Force it off if needed.",
        "%(names)s did not shut down within %(limit_seconds)s and are still running. Force them off if needed.",
    ),
    "clones.shutdown_unknown": N_(
        "Node %(node)s stopped responding, so it is not known whether %(names)s shut down. The next check of the node "
        "will show."
    ),
    "clones.shutdown_replaced": N_("Replaced by a later action on the same desktops."),
    "clones.failure_of": N_("%(clone)s: %(why)s"),
    "clones.failures": N_("Failed: %(failed_clauses)s."),
    # The titles of that work
    "clones.title_create": Plural(
        "Create %(count)s clone of %(base)s on %(node)s", "Create %(count)s clones of %(base)s on %(node)s"
    ),
    "clones.title_start": Plural("Start %(count)s clone on %(node)s", "Start %(count)s clones on %(node)s"),
    "clones.title_stop": Plural("Stop %(count)s clone on %(node)s", "Stop %(count)s clones on %(node)s"),
    "clones.title_restart": Plural("Restart %(count)s clone on %(node)s", "Restart %(count)s clones on %(node)s"),
    "clones.title_delete": Plural("Delete %(count)s clone on %(node)s", "Delete %(count)s clones on %(node)s"),
    "clones.title_one_start": N_("Start %(clone)s on %(node)s"),
    "clones.title_one_stop": N_("Stop %(clone)s on %(node)s"),
    "clones.title_one_restart": N_("Restart %(clone)s on %(node)s"),
    "clones.title_one_delete": N_("Delete %(clone)s on %(node)s"),
}


def state_message(state: str) -> Message:
    """A clone's state, as it stands in a sentence."""
    return message(f"clones.state_{state}")
