"""What is said of turning nodes off by fence agents."""

from ravada_web.messages.marks import N_, Template

TEXTS: dict[str, Template] = {
    "fencing.title_test": N_("Ask whether %(node)s is on"),
    "fencing.title_off": N_("Turn off %(node)s"),
    "fencing.off_by": N_("%(agent)s turned it off, as requested by %(name)s"),
    # Why it does not work
    "fencing.not_installed": N_(
        "The fence agent %(agent)s is not installed on this server. Install it: apt install fence-agents"
    ),
    "fencing.unusable": N_("%(agent)s cannot be used: %(why)s"),
    "fencing.no_power": N_("it does not switch the power of a machine."),
    "fencing.unclear": N_("%(agent)s did not say whether the machine is on (status %(status)s): %(said)s"),
    "fencing.not_turned_off": N_("%(agent)s could not turn the machine off (status %(status)s): %(said)s"),
    "fencing.not_turned_on": N_("%(agent)s could not turn the machine on (status %(status)s): %(said)s"),
    "fencing.still_on": N_("%(agent)s turned the machine off, but says that it is on."),
    "fencing.late": N_("%(agent)s did not answer within %(deadline_seconds)s. Check the address of the device."),
    "fencing.too_much": N_("%(agent)s said more than it should."),
    "fencing.node_answers": N_(
        "The device says that the machine is off, but %(name)s still answers at its address. Check that the device and "
        "the plug are those of this node: another machine may have been turned off."
    ),
    "fencing.stale": N_("It was requested more than 10 minutes ago, so nothing was done. Request it again."),
    "fencing.no_retry": N_("What changes a node’s power is not retried. Request it again on the node’s page."),
    "fencing.not_set": N_("No fence agent is set up for this node."),
    "fencing.this_server": N_("This server cannot turn itself off."),
    "fencing.sealed_by_another": N_(
        "The password of the fence agent was stored with another key. Set up the fence agent again."
    ),
    # Beside a field
    "fencing.required": N_("The agent needs this."),
    "fencing.enter_again": N_("Enter it again: it is kept only while nothing else changes."),
    "fencing.not_one_line": N_("Enter one line of at most %(most)s characters."),
    "fencing.not_a_number": N_("Enter a whole number."),
    "fencing.not_a_choice": N_("Choose one of the values offered."),
}
