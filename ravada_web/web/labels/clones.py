"""States of clones and desktops."""

from ravada_web.models import Clone
from ravada_web.services.clones.obstacles import Obstacle
from ravada_web.services.desktops.cards import Desktop
from ravada_web.web.labels.look import Look, look_of
from ravada_web.web.rendering import later as _l

STATES = {
    "requested": Look(_l("Waiting"), "blue", "hourglass"),
    "creating": Look(_l("Creating"), "blue", "loader-2", busy=True),
    "stopped": Look(_l("Off"), "secondary", "power"),
    "starting": Look(_l("Starting"), "blue", "loader-2", busy=True),
    "running": Look(_l("Running"), "green", "circle-check"),
    "paused": Look(_l("Paused"), "yellow", "player-pause"),
    "stopping": Look(_l("Shutting down"), "blue", "loader-2", busy=True),
    "failed": Look(_l("Failed"), "red", "alert-circle"),
    "unreachable": Look(_l("Unreachable"), "orange", "plug-connected-x"),
    "moving": Look(_l("Moving"), "blue", "loader-2", busy=True),
    "deleting": Look(_l("Deleting"), "red", "loader-2", busy=True),
}
# For those who may know of nodes; their users read desktops.cards.explain.
OBSTACLES = {
    Obstacle.AWAY: _l("The node is not responding"),
    Obstacle.QUARANTINED: _l("The node’s host key has changed"),
    Obstacle.CLOSED: _l("Cannot start: the node is disabled"),
    Obstacle.NO_SPACE: _l("Cannot start: the node’s disk is full"),
    Obstacle.NO_MEMORY: _l("Cannot start now: the node is out of memory"),
    Obstacle.NO_POOL: _l("Cannot start: the node’s storage pool is not available"),
    Obstacle.NO_PROCESSORS: _l("Cannot start now: the node has reached its CPU overcommit"),
    Obstacle.NOT_KNOWN: _l("Cannot start yet: the node’s free memory is not known"),
    Obstacle.NO_BASE: _l("Cannot start now: the node’s copy of the base cannot be used"),
    Obstacle.LACKS: _l("Cannot start: the node lacks something that it needs"),
}
# How one that runs can go to a node.
WAYS = {
    "live": Look(_l("While it runs"), "green", "circle-check"),
    "cold": Look(_l("Only while it is off"), "yellow", "power"),
}
COMES_AGAIN = Look(_l("Being made again"), "blue", "loader-2", busy=True)
RESTARTING = Look(_l("Restarting"), "blue", "loader-2", busy=True)


def of(clone: Clone) -> Look:
    """A clone's state; one whose node is away is not reachable, whatever it was when last seen."""
    return look_of(STATES, clone.state)


def of_desktop(desktop: Desktop) -> Look:
    """A desktop's state as its user sees it: a restart is one thing, and a node that is away hides the rest."""
    if desktop.clone.comes_again:
        return COMES_AGAIN
    if desktop.obstacle in (Obstacle.AWAY, Obstacle.QUARANTINED):
        return STATES["unreachable"]
    return RESTARTING if desktop.restarts else of(desktop.clone)
