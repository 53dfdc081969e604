"""What is said of waking hosts."""

from ravada_web.messages.marks import N_, Template

TEXTS: dict[str, Template] = {
    # Why it is refused
    "waking.not_off": N_("%(node)s is not off: it answers, or has not been checked lately."),
    "waking.this_server": N_("Ravada Web runs on this host: it is on."),
    "waking.not_in_maintenance": N_("%(node)s is not in maintenance, so there is nothing to enable."),
    "waking.no_way": N_("There is no way to wake %(node)s."),
    "waking.no_mac": N_("The MAC address of its network card is not known: enter it in the node’s settings."),
    "waking.nobody_beside": N_("No other node that is up is in the network of %(node)s to send a Wake-on-LAN packet."),
    "waking.no_agent": N_("No fence agent is set up for it."),
    "waking.can_be_woken": N_("It can be woken from here."),
    # What was tried
    "waking.us": N_("this server"),
    "waking.by_packet": N_("Wake-on-LAN to %(mac)s was sent by %(senders)s."),
    "waking.by_agent": N_("%(agent)s turned it on."),
    "waking.by_command": N_("The configured command was run."),
    "waking.nothing_sent": N_("%(node)s could not be woken."),
    "waking.failed": N_("Wake-on-LAN could not be sent: %(why)s"),
    "waking.command_failed": N_("The configured command failed (status %(status)s): %(said)s"),
    "waking.command_late": N_("The configured command did not end within %(deadline_seconds)s."),
    "waking.command_too_much": N_("The configured command said more than it should."),
    # How far it is, and how it ends
    "waking.silent": N_("Nothing answers yet."),
    "waking.answers": N_("The host answers. Waiting for SSH."),
    "waking.ssh": N_("SSH answers. Waiting for libvirt and the checks: %(why)s"),
    "waking.up": N_("%(node)s is up."),
    "waking.up_out": N_("%(node)s is up, but takes no desktops until you enable it."),
    "waking.enabled": N_("up again after it was woken"),
    "waking.late": N_("%(node)s did not come up within %(waited_seconds)s. Last seen: %(why)s"),
    "waking.cancelled": N_("No longer watched. The host %(node)s may still come up."),
    "waking.no_longer": N_("%(node)s was given up or shows another host key, so it is no longer waited for."),
}
