"""States of bases and replicas."""

from ravada_web.models import Base, Replica
from ravada_web.web.labels.look import Look, look_of
from ravada_web.web.rendering import later as _l

STATES = {
    "imported": Look(_l("Not prepared"), "secondary", "hourglass"),
    "preparing": Look(_l("Preparing"), "blue", "loader-2", busy=True),
    "ready": Look(_l("Ready"), "green", "circle-check"),
    "failed": Look(_l("Failed"), "red", "alert-circle"),
}
REPLICAS = {
    "wanted": Look(_l("Waiting"), "blue", "hourglass"),
    "copying": Look(_l("Copying"), "blue", "loader-2", busy=True),
    "verifying": Look(_l("Verifying"), "blue", "loader-2", busy=True),
    "ready": Look(_l("Ready"), "green", "circle-check"),
    "failed": Look(_l("Failed"), "red", "alert-circle"),
    "removing": Look(_l("Removing"), "orange", "loader-2", busy=True),
}
VERDICTS = {
    "refused": Look(_l("Refused"), "red", "alert-circle"),
    "dropped": Look(_l("Dropped"), "orange", "circle-x"),
    "fitted": Look(_l("Fitted to each desktop or node"), "blue", "adjustments"),
    "kept": Look(_l("Kept"), "green", "circle-check"),
}


def of(base: Base) -> Look:
    """How a base is shown."""
    return look_of(STATES, base.state)


def of_replica(replica: Replica) -> Look:
    """How a replica is shown."""
    return look_of(REPLICAS, replica.state)
