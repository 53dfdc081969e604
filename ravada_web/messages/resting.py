"""What is said of nodes that rest while the cluster is quiet."""

from ravada_web.messages.marks import N_, Plural, Template

TEXTS: dict[str, Template] = {
    # Why a node rests, or would
    "resting.rests": N_(
        "It is quiet: at most %(need_mib)s of memory are expected to be used in the coming hours, and the others have "
        "room for %(have_mib)s, even if one of them fails."
    ),
    # Why it is woken
    "resting.wake_hours": N_("The hours in which nodes may rest are over, or will be within the next hour."),
    "resting.wake_used": N_("%(need_mib)s of memory are used, and the others have room for %(have_mib)s."),
    "resting.wake_soon": N_(
        "%(need_mib)s of memory are expected to be used within the next hour, and the others have room for "
        "%(have_mib)s."
    ),
    # Why it stays awake
    "resting.rest_not_chosen": N_("It is not one of the nodes that may rest."),
    "resting.rest_hours": N_("Nodes may not rest now, or not for long enough."),
    "resting.rest_settling": N_("It has changed lately, and stays as it is for %(left_seconds)s more."),
    "resting.rest_unknown": N_("What the coming hours need is not known yet: it takes a week of samples."),
    "resting.rest_last": N_("Two nodes are always awake, so that one may fail."),
    "resting.rest_needed": N_(
        "It is needed: with some to spare, %(need_mib)s of memory are expected in the coming hours, and without it "
        "there is room for %(have_mib)s if another fails."
    ),
    "resting.woken_beside": N_("It is awake, and needed."),
    # Why something cannot be set so
    "resting.watts": N_("Enter whole numbers of watts between 0 and %(most)s."),
    "resting.this_server": N_("Ravada Web runs on %(node)s, which therefore never rests."),
    # Why one cannot rest now, though its room is not needed
    "resting.others_run": N_("Virtual machines that are not desktops run on its host: %(names)s."),
    "resting.bases_need_it": N_("Fewer than two other nodes that are awake have a verified copy of %(names)s."),
    "resting.desktops_stay": Plural(
        "%(count)s desktop cannot move away without interrupting anybody: %(name)s. %(why)s",
        "%(count)s desktops cannot move away without interrupting anybody, among them %(name)s. %(why)s",
    ),
    "resting.not_on": N_("Nodes do not rest by the schedule: nothing would wake it."),
    "resting.one_at_a_time": N_("Another node is going to rest or being woken. Try again when that is over."),
    "resting.not_in_service": N_("Only a node that is enabled is put to rest."),
    "resting.would_be_woken": N_("It would be woken at once. %(why)s"),
    # Why one rests or is woken, beside the rule
    "resting.asked_for": N_("Requested by %(name)s."),
    "resting.wake_refused": N_("A request for desktops was refused for lack of room."),
    "resting.wake_switched_off": N_("Nodes no longer rest by the schedule."),
    # Why the schedule leaves one alone
    "resting.held_by": N_("%(name)s keeps it awake."),
    "resting.held_by_person": N_("Somebody changed its state while it was resting or about to rest."),
    "resting.held_cancelled": N_("Somebody cancelled the shutdown of its host."),
    "resting.held_turned_on": N_("Its host was turned on by other means while it rested."),
    "resting.held_not_off": N_("Its host could not be shut down to rest. %(why)s"),
    "resting.wake_failed": N_("It rested, and could not be woken. %(why)s"),
    # How far it is
    "resting.step_emptying": N_("It is going to rest: its desktops are moving to other nodes."),
    "resting.step_going_off": N_("It is going to rest: it is empty, and its host is shutting down."),
    "resting.step_resting": N_("It has been resting since %(since_at)s: its host is off, and it has no desktops."),
    "resting.step_waking": N_("It is being woken."),
    "resting.wakes": N_(
        "It is woken when the other nodes have not enough room for what is used, for what is expected soon or for a "
        "request, or when the hours end in which nodes may rest. It took %(took_seconds)s to be up the last time."
    ),
    "resting.wakes_untried": N_(
        "It is woken when the other nodes have not enough room for what is used, for what is expected soon or for a "
        "request, or when the hours end in which nodes may rest."
    ),
}
