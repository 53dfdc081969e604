"""States and kinds of operations, queues and workers."""

from ravada_web.models import Operation
from ravada_web.services.lifecycle.host_power_work import GUESTS
from ravada_web.services.operations import kinds, queue_jobs
from ravada_web.services.operations.queue_jobs import JobRow
from ravada_web.services.operations.subjects import LOST_CLONES, MOVED_CLONE, ONCE
from ravada_web.services.operations.workers import ProcessRow, WorkerRow
from ravada_web.web.labels.look import Look, look_of
from ravada_web.web.rendering import later as _l

STATES = {
    "waiting": Look(_l("Waiting"), "secondary", "hourglass"),
    "running": Look(_l("Running"), "blue", "loader-2", busy=True),
    "watched": Look(_l("Waiting for guests"), "blue", "hourglass"),
    "done": Look(_l("Done"), "green", "circle-check"),
    "failed": Look(_l("Failed"), "red", "alert-circle"),
    "cancelled": Look(_l("Cancelled"), "secondary", "circle-off"),
}
KINDS = {name: kind.label for name, kind in kinds.KINDS.items()}
QUEUES = {
    "interactive": _l("What users wait for: launching and shutting down"),
    "checks": _l("Node checks"),
    "setup": _l("Adding and testing nodes, importing bases"),
    "default": _l("Fixing nodes, removing bases, screenshots"),
    "batches": _l("Desktops in bulk: creating, starting, stopping, deleting"),
    "moves": _l("Moving desktops to other nodes"),
    "bulk": _l("Preparing and copying bases"),
}
UNSERVED = Look(_l("No worker"), "red", "plug-connected-x")
WORKERS = {
    "idle": Look(_l("Idle"), "green", "circle-check"),
    "busy": Look(_l("Busy"), "blue", "loader-2", busy=True),
    "gone": Look(_l("Lost"), "red", "plug-connected-x"),
}
PROCESSES = {
    "running": Look(_l("Running"), "green", "circle-check"),
    "starting": Look(_l("Starting"), "blue", "loader-2", busy=True),
    "still": Look(_l("Not responding"), "red", "plug-connected-x"),
}

# Of a job, by RQ's names.
JOBS = {
    "queued": STATES["waiting"],
    "rate_limited": Look(_l("Throttled"), "secondary", "hourglass"),
    "started": STATES["running"],
    "failed": STATES["failed"],
    "finished": Look(_l("Finished"), "green", "circle-check"),
    queue_jobs.UNREADABLE: Look(_l("Unreadable"), "red", "alert-circle"),
}
# Of jobs that a worker has taken, in the order of their columns.
REGISTERED = {state: JOBS[state] for state in queue_jobs.REGISTRIES}


# Of those that wait for no guest while they are watched.
MAKING_AGAIN = Look(_l("Under way"), "blue", "loader-2", busy=True)
WAITS_FOR_NODE = Look(_l("Waiting for node"), "blue", "hourglass")
WAITS_FOR_HOST = Look(_l("Waiting for the host"), "blue", "hourglass")


def is_once(operation: Operation) -> bool:
    """Whether it is about a host's power: it is not retried, but asked for anew."""
    return operation.kind in kinds.kinds_on(ONCE)


def of(operation: Operation) -> Look:
    """How an operation is shown."""
    if operation.state == "watched" and operation.kind in kinds.kinds_on(LOST_CLONES):
        return MAKING_AGAIN
    if operation.state == "watched" and operation.kind in kinds.kinds_on(MOVED_CLONE):
        return WAITS_FOR_NODE
    if operation.state == "watched" and is_once(operation) and operation.result.get("waits_for") != GUESTS:
        return WAITS_FOR_HOST
    return look_of(STATES, operation.state)


def of_job(row: JobRow) -> Look:
    """How a job is shown."""
    return look_of(JOBS, row.state)


def of_process(row: ProcessRow) -> Look:
    """Whether a process goes on."""
    return PROCESSES[row.state]


def of_worker(row: WorkerRow) -> Look:
    """What a worker does; one without a recent heartbeat is gone, whatever it did last."""
    return look_of(WORKERS, row.state) if row.alive else WORKERS["gone"]
