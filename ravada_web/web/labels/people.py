"""Roles, rights and states of users."""

from ravada_web.web.labels.look import Look
from ravada_web.web.rendering import later as _l

STANDINGS = {
    "active": Look(_l("Active"), "green", "circle-check"),
    "invited": Look(_l("Invited"), "blue", "hourglass"),
    "never": Look(_l("Never signed in"), "blue", "clock"),
    "no_password": Look(_l("No password"), "orange", "key"),
    "deactivated": Look(_l("Deactivated"), "secondary", "user-off"),
}
# What a right of services/permissions/rights.py lets its holder do.
RIGHTS = {
    "nodes.see": _l("View nodes and their status"),
    "nodes.change": _l("Add, configure, enable, disable and remove nodes"),
    "bases.see": _l("View bases and the nodes they run on"),
    "bases.change": _l("Import and prepare bases, choose their nodes, offer them to users"),
    "clones.see_all": _l("View all desktops"),
    "clones.create": _l("Create and delete desktops for anyone"),
    "clones.control_all": _l("Start, shut down and restart anyone’s desktops, ignoring owners’ quotas"),
    "operations.see": _l("View operations, who requested them and why they failed"),
    "operations.control": _l("Retry and cancel operations"),
    "consoles.look_on": _l("View other users’ screens (users are informed and may be allowed to refuse)"),
    "users.see": _l("View users, groups and quotas"),
    "users.change": _l("Create, edit, deactivate and delete users and groups; reset passwords and second factors"),
    "audit.see": _l("View the audit log"),
}
ROLES = {"user": _l("User"), "operator": _l("Operator"), "administrator": _l("Administrator")}
