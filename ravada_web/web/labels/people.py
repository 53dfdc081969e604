"""Roles, rights and states of users."""

from ravada_web.web.labels.look import Look
from ravada_web.web.rendering import later as _l

ACTIVE = {True: Look(_l("Yes"), "green", "circle-check"), False: Look(_l("Switched off"), "secondary", "user-off")}
# What a right of services/access.py lets its holder do.
RIGHTS = {
    "nodes.see": _l("See the nodes and how they are"),
    "nodes.change": _l("Add nodes, change, enable, disable and remove them"),
    "bases.see": _l("See the bases and where they may run"),
    "bases.change": _l("Import and prepare bases, choose their nodes, offer them to people"),
    "clones.see_all": _l("See everybody’s desktops"),
    "clones.create": _l("Make desktops by the batch, for anybody; delete any"),
    "clones.control_all": _l("Start, shut down and restart everybody’s desktops, past their owners’ limits"),
    "operations.see": _l("See what the product is doing, for whom, and what failed"),
    "operations.control": _l("Try failed work again, cancel work"),
    "consoles.look_on": _l("Look on at others’ screens, which these see, and may be let refuse"),
    "users.see": _l("See people, groups and limits"),
    "users.change": _l("Add, change, switch off and delete people and groups; reset passwords and second factors"),
    "audit.see": _l("Read the audit log"),
}
# What a right of services/access.py lets its holder do.
RIGHTS = {
    "nodes.see": _l("See the nodes and how they are"),
    "nodes.change": _l("Add nodes, change, enable, disable and remove them"),
    "bases.see": _l("See the bases and where they may run"),
    "bases.change": _l("Import and prepare bases, choose their nodes, offer them to people"),
    "clones.see_all": _l("See everybody’s desktops"),
    "clones.create": _l("Make desktops by the batch, for anybody; delete any"),
    "clones.control_all": _l("Start, shut down and restart everybody’s desktops, past their owners’ limits"),
    "operations.see": _l("See what the product is doing, for whom, and what failed"),
    "operations.control": _l("Try failed work again, cancel work"),
    "consoles.look_on": _l("Look on at others’ screens, which these see, and may be let refuse"),
    "users.see": _l("See people, groups and limits"),
    "users.change": _l("Add, change, switch off and delete people and groups; reset passwords and second factors"),
    "audit.see": _l("Read the audit log"),
}
ROLES = {"user": _l("User"), "operator": _l("Operator"), "administrator": _l("Administrator")}
