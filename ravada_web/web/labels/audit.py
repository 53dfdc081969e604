"""Actions, objects and results of the audit log."""

from ravada_web.models import Event
from ravada_web.services.audit.events import SYSTEM, Line
from ravada_web.web.labels.look import Look
from ravada_web.web.rendering import later as _l

ACTIONS = {
    "cancel": _l("cancelled"),
    "observed": _l("state changed to"),
    "retry": _l("retried"),
    "accept_key": _l("accepted new host key"),
    "add_members": _l("added members"),
    "allow": _l("allowed on"),
    "allow_viewers": _l("allowed screen viewing"),
    "clone": _l("requested"),
    "close_console": _l("closed console"),
    "confirm": _l("entered a password to confirm"),
    "create": _l("created"),
    "damaged": _l("copy found damaged:"),
    "delete": _l("deleted"),
    "disable": _l("disabled"),
    "edit": _l("changed settings"),
    "enable": _l("enabled"),
    "end_sign_in": _l("ended a session"),
    "end_sign_ins": _l("ended all sessions"),
    "give_up": _l("gave up"),
    "give_up_node": _l("gave up node"),
    "given_up": _l("was given up"),
    "take_back": _l("took back"),
    "bring_back": _l("brought back"),
    "ignore_remains": _l("chose to ignore"),
    "export": _l("exported"),
    "list_remains": _l("chose to list again"),
    "delete_remains": _l("requested deletion of"),
    "give_part": _l("limited access to:"),
    "keep_reserve": _l("keeps room for the loss of one node from now on:"),
    "end_reserve": _l("no longer keeps room for the loss of one node:"),
    "rebalance": _l("began to rebalance the nodes:"),
    "set_rebalancing": _l("changed how nodes are rebalanced:"),
    "known_off": _l("recorded as off"),
    "known_off_ended": _l("is no longer known to be off:"),
    "known_off_taken_back": _l("no longer records as off"),
    "machine_id": _l("reports machine ID"),
    "accept_host": _l("accepted the host as this node:"),
    "recognised": _l("looked at the host with a new key:"),
    "accept_machine_id": _l("accepted new machine ID"),
    "host_uuid": _l("reports host UUID"),
    "rebooted": _l("was restarted"),
    "import": _l("imported"),
    "enable_unproved": _l("enabled without a test"),
    "install_key": _l("installed key with a password for"),
    "join": _l("added"),
    "mend": _l("fixed:"),
    "move": _l("requested a move:"),
    "moved": _l("moved:"),
    "prove": _l("tested"),
    "remake": _l("failed; made again elsewhere:"),
    "look_on": _l("viewed screen"),
    "look_at_picture": _l("viewed screenshot"),
    "offer": _l("offered to"),
    "open_console": _l("opened console"),
    "open_viewer": _l("opened in virt-viewer"),
    "refuse_viewers": _l("blocked screen viewing"),
    "prepare": _l("prepared"),
    "refused": _l("was denied"),
    "remove": _l("removed"),
    "remove_member": _l("removed member"),
    "replace": _l("joined a new host in the place of"),
    "returned": _l("returned:"),
    "restart": _l("restarted"),
    "recovery_code": _l("used a recovery code"),
    "recovery_codes": _l("created new recovery codes"),
    "reset_password": _l("reset password"),
    "second_factor_off": _l("removed second factor"),
    "second_factor_on": _l("set up second factor"),
    "maintenance": _l("put into maintenance"),
    "drain": _l("began to drain:"),
    "bring_home": _l("began to bring back the desktops of:"),
    "drained": _l("drained:"),
    "drain_stopped": _l("stopped draining:"),
    "end_drain": _l("ended the drain:"),
    "set_fence": _l("set up power control:"),
    "remove_fence": _l("removed power control:"),
    "turn_off": _l("turned off by"),
    "wake": _l("woke"),
    "host_off": _l("asked to shut down the host"),
    "host_restart": _l("asked to restart the host"),
    "set_schedule": _l("changed when nodes may rest:"),
    "rest_on": _l("had nodes rest by the schedule:"),
    "rest_off": _l("no longer has nodes rest by the schedule:"),
    "rest": _l("began to put to rest:"),
    "rests": _l("put to rest:"),
    "end_rest": _l("ended the rest of:"),
    "keep_awake": _l("keeps awake:"),
    "let_rest": _l("lets rest again:"),
    "set_marks": _l("changed thresholds of pool"),
    "set_password": _l("changed password"),
    "sign_in": _l("signed in"),
    "start": _l("started"),
    "stop": _l("stopped"),
    "switch_on": _l("activated"),
    "switch_off": _l("deactivated"),
}
# What was tried and refused, where that is an action's own event.
REFUSED = {
    "sign_in": _l("failed to sign in"),
    "confirm": _l("entered a wrong password to confirm"),
}
OBJECTS = {
    "node": _l("Node"),
    "base": _l("Base"),
    "clone": _l("Desktop"),
    "user": _l("User"),
    "group": _l("Group"),
    "operation": _l("Operation"),
    "cluster": _l("Cluster"),
}
RESULTS = {
    "done": Look(_l("Done"), "green", "check"),
    "refused": Look(_l("Denied"), "orange", "shield-x"),
    "failed": Look(_l("Failed"), "red", "alert-circle"),
}


def did(event: Event | Line) -> str:
    """What was done, or tried in vain, in words that follow the actor's name."""
    known = REFUSED if event.result == "refused" and event.action in REFUSED else ACTIONS
    return str(known.get(event.action, event.action))


def actor(event: Event | Line) -> str:
    """Who did it: a user's name, the product itself, or somebody that the viewer may not know of."""
    return str(_l("System")) if event.actor == SYSTEM else event.actor or str(_l("Another user"))
