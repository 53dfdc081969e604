"""What is said of nodes that rest while the cluster is quiet."""

from ravada_web.messages.marks import N_, Template

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
}
