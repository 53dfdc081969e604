"""The states in words, each with its colour, icon and whether it is on its way to another."""

from dataclasses import dataclass

from flask_babel.speaklater import LazyString

from ravada_web.models import Base, Clone, Node, Operation, Replica, Trust, Wanted
from ravada_web.services.clones.obstacles import Obstacle
from ravada_web.services.desktops.cards import Desktop
from ravada_web.services.nodes.link_states import Shown
from ravada_web.services.operations.workers import WorkerRow
from ravada_web.web.rendering import later as _l


@dataclass(frozen=True)
class Look:
    """How a state is shown; `busy` states turn."""

    word: LazyString | str
    colour: str
    icon: str
    busy: bool = False


CLONES = {
    "requested": Look(_l("Waiting"), "blue", "hourglass"),
    "creating": Look(_l("Being made"), "blue", "loader-2", busy=True),
    "stopped": Look(_l("Off"), "secondary", "power"),
    "starting": Look(_l("Starting"), "blue", "loader-2", busy=True),
    "running": Look(_l("Running"), "green", "circle-check"),
    "paused": Look(_l("Paused"), "yellow", "player-pause"),
    "stopping": Look(_l("Shutting down"), "blue", "loader-2", busy=True),
    "failed": Look(_l("Failed"), "red", "alert-circle"),
    "unreachable": Look(_l("Not reachable"), "orange", "plug-connected-x"),
    "deleting": Look(_l("Being deleted"), "red", "loader-2", busy=True),
}
RESTARTING = Look(_l("Restarting"), "blue", "loader-2", busy=True)
NODES = {
    "unknown": Look(_l("Not checked yet"), "secondary", "help-circle"),
    "up": Look(_l("Up"), "green", "circle-check"),
    "degraded": Look(_l("Degraded"), "orange", "alert-triangle"),
    "down": Look(_l("Down"), "red", "plug-connected-x"),
}
QUARANTINED = Look(_l("Quarantined"), "red", "shield-x")
WANTED = {
    "new": Look(_l("New"), "blue", "clock"),
    "draining": Look(_l("Draining"), "orange", "clock"),
    "maintenance": Look(_l("Maintenance"), "orange", "settings"),
    "disabled": Look(_l("Disabled"), "secondary", "circle-off"),
}
BASES = {
    "imported": Look(_l("Not prepared yet"), "secondary", "hourglass"),
    "preparing": Look(_l("Being prepared"), "blue", "loader-2", busy=True),
    "ready": Look(_l("Ready"), "green", "circle-check"),
    "failed": Look(_l("Failed"), "red", "alert-circle"),
}
REPLICAS = {
    "wanted": Look(_l("Waiting to be copied"), "blue", "hourglass"),
    "copying": Look(_l("Copying"), "blue", "loader-2", busy=True),
    "verifying": Look(_l("Verifying"), "blue", "loader-2", busy=True),
    "ready": Look(_l("Ready"), "green", "circle-check"),
    "failed": Look(_l("Failed"), "red", "alert-circle"),
    "removing": Look(_l("Being removed"), "orange", "loader-2", busy=True),
}
OPERATIONS = {
    "waiting": Look(_l("Waiting"), "secondary", "hourglass"),
    "running": Look(_l("Running"), "blue", "loader-2", busy=True),
    "done": Look(_l("Done"), "green", "circle-check"),
    "failed": Look(_l("Failed"), "red", "alert-circle"),
    "cancelled": Look(_l("Cancelled"), "secondary", "circle-off"),
}
KINDS = {
    "node_scan": _l("Read a host key"),
    "node_inspect": _l("Check a node"),
    "node_key": _l("Install the key on a node"),
    "node_mend": _l("Mend a node"),
    "node_prove": _l("Prove a node"),
    "alert_test": _l("Send a test message"),
    "pools_count": _l("Count what uses pools"),
    "base_import": _l("Import a base"),
    "base_prepare": _l("Prepare a base"),
    "base_remove": _l("Remove a base"),
    "replica_copy": _l("Copy a replica"),
    "replica_remove": _l("Remove a replica"),
    "clones_create": _l("Create clones"),
    "clones_delete": _l("Delete clones"),
    "clones_start": _l("Start clones"),
    "clones_stop": _l("Stop clones"),
    "viewer_offer": _l("Let a viewer in"),
    "clones_restart": _l("Restart clones"),
}
ACTIONS = {
    "cancel": _l("cancelled it"),
    "observed": _l("saw it change"),
    "retry": _l("tried it again"),
    "accept_key": _l("accepted its new host key"),
    "add_members": _l("added the members"),
    "allow": _l("let it run on"),
    "allow_viewers": _l("let others look on"),
    "clone": _l("asked for"),
    "close_console": _l("closed its console"),
    "create": _l("made it"),
    "delete": _l("deleted it"),
    "disable": _l("disabled it"),
    "edit": _l("changed its settings"),
    "enable": _l("enabled it"),
    "end_sign_in": _l("ended a sign-in"),
    "end_sign_ins": _l("ended all sign-ins"),
    "give_part": _l("gave the part of the house:"),
    "import": _l("imported it"),
    "enable_unproved": _l("enabled it without a proof"),
    "install_key": _l("installed the key there, by a password, for"),
    "join": _l("added it"),
    "mend": _l("mended there:"),
    "prove": _l("proved that guests run there"),
    "look_on": _l("looked on"),
    "offer": _l("offered it to"),
    "open_console": _l("opened its console"),
    "open_viewer": _l("opened it in a viewer"),
    "refuse_viewers": _l("let nobody look on"),
    "prepare": _l("prepared it"),
    "refused": _l("was refused"),
    "remove": _l("removed it"),
    "remove_member": _l("took out the member"),
    "restart": _l("restarted it"),
    "recovery_code": _l("used a recovery code"),
    "recovery_codes": _l("made new recovery codes"),
    "reset_password": _l("reset the password"),
    "second_factor_off": _l("took the second factor away"),
    "second_factor_on": _l("set up a second factor"),
    "set_marks": _l("set the marks of its pool"),
    "set_password": _l("changed the password"),
    "sign_in": _l("signed in"),
    "start": _l("started it"),
    "stop": _l("stopped it"),
    "switch_on": _l("switched it on"),
    "switch_off": _l("switched it off"),
}
ALERTS = {
    "degraded": Look(_l("Degraded"), "orange", "alert-triangle"),
    "warning": Look(_l("Filling up"), "orange", "database"),
    "unknown": Look(_l("Not known"), "orange", "help-circle"),
    "down": Look(_l("Down"), "red", "plug-connected-x"),
    "critical": Look(_l("Nearly full"), "red", "database"),
    "quarantined": Look(_l("Quarantined"), "red", "shield-x"),
    "": Look(_l("Well again"), "green", "circle-check"),
}
FILES = {
    "base": _l("Bases"),
    "clone": _l("Clones"),
    "orphan": _l("Orphans: ours once, of no row"),
    "other": _l("Others’ files"),
}
CHARTS = {
    "cpu_load": _l("CPU"),
    "memory_used": _l("Memory"),
    "ssh_ms": _l("SSH"),
    "libvirt_ms": _l("libvirt"),
}
FINDINGS = {
    "ssh": _l("SSH"),
    "access": _l("Login"),
    "twice": _l("Identity"),
    "distribution": _l("Distribution"),
    "libvirt": _l("libvirt"),
    "kvm": _l("Virtualisation"),
    "tools": _l("Programs"),
    "memory": _l("Memory"),
    "pool": _l("Pool"),
    "network": _l("Network"),
    "machines": _l("Machine types"),
    "processor": _l("Processor"),
    "clock": _l("Clock"),
    "firewall": _l("Firewall"),
}
FACTS = {
    "hostname": _l("Host name"),
    "system": _l("Distribution"),
    "processor": _l("Processor"),
    "arch": _l("Architecture"),
    "virt_type": _l("Runs guests by"),
    "qemu_version": _l("QEMU"),
    "libvirt_version": _l("libvirt"),
    "firmwares": _l("Firmwares"),
    "networks": _l("Networks"),
}
OBJECTS = {
    "node": _l("Node"),
    "base": _l("Base"),
    "clone": _l("Desktop"),
    "user": _l("User"),
    "group": _l("Group"),
    "operation": _l("Operation"),
}
RESULTS = {
    "done": Look(_l("Done"), "green", "check"),
    "refused": Look(_l("Refused"), "orange", "shield-x"),
    "failed": Look(_l("Failed"), "red", "alert-circle"),
}
QUEUES = {
    "interactive": _l("What people wait for: launching, shutting down, joining"),
    "checks": _l("Asking the nodes how they are"),
    "default": _l("Making and deleting clones"),
    "bulk": _l("Preparing bases and copying them"),
}
UNSERVED = Look(_l("No worker"), "red", "plug-connected-x")
WORKERS = {
    "idle": Look(_l("Waits for work"), "green", "circle-check"),
    "busy": Look(_l("At work"), "blue", "loader-2", busy=True),
    "gone": Look(_l("Not heard of"), "red", "plug-connected-x"),
}
LINKS = {
    True: Look(_l("Up"), "green", "circle-check"),
    False: Look(_l("Down"), "red", "plug-connected-x"),
    None: Look(_l("Not known"), "secondary", "help-circle"),
}
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
ROLES = {"user": _l("User"), "operator": _l("Operator"), "administrator": _l("Administrator")}


def finding(code: str) -> LazyString | str:
    """What a finding is about; a pool's and a network's have their name behind a colon."""
    kind, _colon, name = code.partition(":")
    word = FINDINGS.get(kind, kind)
    return f"{word} {name}" if name else word


def _look(looks: dict[str, Look], state: str) -> Look:
    return looks.get(state) or Look(state, "secondary", "help-circle")


def of_clone(clone: Clone) -> Look:
    """A clone's state; one whose node is away is not reachable, whatever it was when last seen."""
    return _look(CLONES, clone.state)


def of_desktop(desktop: Desktop) -> Look:
    """A desktop's state as its user sees it: a restart is one thing, and a node that is away hides the rest."""
    if desktop.obstacle in (Obstacle.AWAY, Obstacle.QUARANTINED):
        return CLONES["unreachable"]
    return RESTARTING if desktop.restarts else of_clone(desktop.clone)


def of_node(node: Node) -> Look:
    """What was seen of the node last; another host key than the accepted one comes before all else."""
    return QUARANTINED if node.trust == Trust.CHANGED else _look(NODES, node.observed)


def of_wanted(node: Node) -> Look | None:
    """What is wanted of the node, where that is not simply “enabled”."""
    return None if node.wanted == Wanted.ENABLED else _look(WANTED, node.wanted)


def of_base(base: Base) -> Look:
    return _look(BASES, base.state)


def of_replica(replica: Replica) -> Look:
    return _look(REPLICAS, replica.state)


def of_worker(row: WorkerRow) -> Look:
    """What a worker does; one that has not been heard of is gone, whatever it did last."""
    return _look(WORKERS, row.state) if row.alive else WORKERS["gone"]


def of_link(link: Shown | None) -> Look:
    """A node's link as the links process told of it last."""
    return LINKS[link.up if link is not None else None]


def of_operation(operation: Operation) -> Look:
    return _look(OPERATIONS, operation.state)
