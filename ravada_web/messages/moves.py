"""What is said of moves of desktops from node to node."""

from ravada_web.messages.marks import N_, Template

TEXTS: dict[str, Template] = {
    # Why it cannot be asked for
    "moves.no_such_node": N_("Select a node."),
    "moves.is_there": N_("It is on node %(node)s already."),
    "moves.must_be_off": N_("A desktop can be moved while it runs or is off. Now it is %(state)s."),
    "moves.choose_how": N_("It is running: choose whether it goes on running or is shut down first."),
    "moves.must_run": N_("Only a running desktop can be moved so. Now it is %(state)s."),
    "moves.source_away": N_("Its node %(node)s does not answer, so it cannot be copied from there."),
    # What changes with it
    "moves.machine_changes": N_("Its machine type changes from %(machine)s to %(becomes)s."),
    "moves.address_changes": N_(
        "Its IP address changes: the network %(network)s has %(there)s there and %(here)s here."
    ),
    "moves.address_unknown": N_(
        "Its IP address may change: it is not known which addresses the network %(network)s has on both nodes."
    ),
    # Why it did not come about; it stays where it was
    "moves.ask_anew": N_("Ask for the move again on the page of the desktop: whether it may move is judged anew."),
    "moves.gone": N_("The desktop no longer exists, or is no longer where it was."),
    "moves.vanished": N_("Its virtual machine no longer exists on node %(node)s."),
    "moves.runs": N_("Somebody started it on node %(node)s. Shut it down, then move it."),
    "moves.saved": N_("Its memory was saved on node %(node)s. Start it and shut it down, then move it."),
    "moves.snapshots": N_("It has snapshots on node %(node)s that would be lost. Delete them there, then move it."),
    "moves.bound": N_("It uses what only its node has: %(things)s. Remove it from the virtual machine, then move it."),
    "moves.file_missing": N_("Its file %(file)s is missing on node %(node)s."),
    "moves.written": N_("Somebody wrote to its disks on node %(node)s while they were copied."),
    "moves.differs": N_("The copy of %(file)s on node %(node)s is not like the original."),
    "moves.is_defined": N_("Node %(node)s has a virtual machine with the same UUID."),
    "moves.must_still_run": N_("It no longer runs on node %(node)s."),
    "moves.too_late": N_("It changes faster than it can be copied: it was not there after %(deadline_seconds)s."),
    "moves.stays": N_("The move was interrupted, and it goes on running on node %(node)s."),
    # What is done
    "moves.migrating": N_("Copying while it runs, %(left_mib)s left"),
    "moves.looks": N_("It is not known yet on which of its two nodes it runs: %(node)s does not answer."),
    "moves.both": N_("It runs on %(source)s and on %(target)s. Force it off, with other tools, where it should not."),
    "moves.title": N_("Move %(clone)s from %(source)s to %(target)s"),
    "moves.copying": N_("Copying, %(left_mib)s left"),
    "moves.verifying": N_("Verifying"),
    "moves.asked": N_("from %(source)s to %(target)s"),
    "moves.waits": N_("It is on node %(node)s by now, which does not answer: the rest is done once it does."),
    "moves.waited": N_("It is on node %(node)s by now, which has not answered for a day. Retry once it does."),
    "moves.note": N_("Moved here from host %(source)s on %(moved_at)s, with all its data."),
    "moves.device": N_("a device of the host"),
}
