"""What is said of nodes: their state and their settings."""

from ravada_web.messages.marks import N_, Plural, Template

TEXTS: dict[str, Template] = {
    # Why a check found it so
    "nodes.check_hangs": N_("The check did not finish within %(deadline_seconds)s: something on the node hangs."),
    "nodes.link_starting": N_("SSH answers; the connection to libvirt is being set up, which takes a few seconds."),
    "nodes.libvirt_silent": N_("SSH answers, libvirt does not: %(why)s"),
    "nodes.slow_libvirt": Plural(
        "SSH answers; libvirt was slow in %(count)s check: it took %(took_seconds)s, more than %(limit_seconds)s.",
        "SSH answers; libvirt was slow in %(count)s checks in a row: it took %(took_seconds)s, more than "
        "%(limit_seconds)s.",
    ),
    "nodes.recovering": N_(
        "libvirt answers again after %(bad)s bad checks: %(good)s of the %(needed)s good checks needed in a row."
    ),
}
