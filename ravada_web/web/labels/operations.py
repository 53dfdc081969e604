"""States and kinds of operations, queues and workers."""

from ravada_web.models import Operation
from ravada_web.services.operations.workers import WorkerRow
from ravada_web.web.labels.look import Look, look_of
from ravada_web.web.rendering import later as _l

STATES = {
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


def of(operation: Operation) -> Look:
    return look_of(STATES, operation.state)


def of_worker(row: WorkerRow) -> Look:
    """What a worker does; one that has not been heard of is gone, whatever it did last."""
    return look_of(WORKERS, row.state) if row.alive else WORKERS["gone"]
