"""The kinds of operation, with all that each needs: its job and queue, its limits, its words, and what it works on."""

from dataclasses import dataclass
from typing import Literal

from ravada_web.messages import Message, message
from ravada_web.services.operations import subjects
from ravada_web.services.operations.subjects import Subject

QUEUES = ("interactive", "checks", "setup", "default", "batches", "moves", "bulk")


@dataclass(frozen=True)
class Kind:
    """`job` is the dotted name of a function of (operation id, attempt); `timeout` is in seconds.

    `queue` is where it waits unless a person waits for it. `limit` names the node's limit that jobs of this kind share
    there. `subject` frees what the operation works on when it
    ends early, and puts it back to work for a retry.
    """

    label: Message
    queue: Literal["interactive", "setup", "default", "batches", "moves", "bulk"]
    job: str
    timeout: int
    subject: Subject
    limit: Literal["build", "copy", "start"] | None = None


_HOUR = 3600
KINDS: dict[str, Kind] = {
    "node_scan": Kind(message("operations.kind_node_scan"), "setup", "jobs.nodes.scan", 60, subjects.NO_ROWS),
    "node_inspect": Kind(
        message("operations.kind_node_inspect"), "setup", "jobs.nodes.inspect", 120, subjects.JOINING_NODE
    ),
    "node_key": Kind(
        message("operations.kind_node_key"), "setup", "jobs.nodes.install_key", 180, subjects.JOINING_NODE
    ),
    "node_mend": Kind(message("operations.kind_node_mend"), "default", "jobs.nodes.fix", 1800, subjects.JOINING_NODE),
    "node_prove": Kind(message("operations.kind_node_prove"), "setup", "jobs.nodes.verify", 180, subjects.JOINING_NODE),
    "node_give_up": Kind(
        message("operations.kind_node_give_up"), "setup", "jobs.nodes.give_up", 1800, subjects.NO_ROWS
    ),
    "node_replace": Kind(
        message("operations.kind_node_replace"), "setup", "jobs.nodes.replace", 1800, subjects.JOINING_NODE
    ),
    "node_orphans": Kind(
        message("operations.kind_node_orphans"), "setup", "jobs.nodes.look_for_orphans", 120, subjects.NO_ROWS
    ),
    "node_export": Kind(
        message("operations.kind_node_export"), "bulk", "jobs.nodes.export", 12 * _HOUR, subjects.NO_ROWS, limit="copy"
    ),
    "node_return": Kind(message("operations.kind_node_return"), "setup", "jobs.nodes.reconcile", 600, subjects.NO_ROWS),
    "fence_test": Kind(message("operations.kind_fence_test"), "setup", "jobs.nodes.test_fence", 60, subjects.ONCE),
    "fence_off": Kind(message("operations.kind_fence_off"), "setup", "jobs.nodes.turn_off", 180, subjects.ONCE),
    "host_off": Kind(message("operations.kind_host_off"), "setup", "jobs.nodes.begin_power", 60, subjects.ONCE),
    "host_restart": Kind(message("operations.kind_host_restart"), "setup", "jobs.nodes.begin_power", 60, subjects.ONCE),
    "host_wake": Kind(message("operations.kind_host_wake"), "setup", "jobs.nodes.wake", 180, subjects.ONCE),
    "alert_test": Kind(message("operations.kind_alert_test"), "default", "jobs.alerts.test", 60, subjects.NO_ROWS),
    "pools_count": Kind(
        message("operations.kind_pools_count"), "default", "jobs.nodes.count_pools", 120, subjects.NO_ROWS
    ),
    "base_inspect": Kind(message("operations.kind_base_inspect"), "setup", "jobs.bases.inspect", 300, subjects.NO_ROWS),
    "base_import": Kind(
        message("operations.kind_base_import"), "setup", "jobs.bases.import_base", 300, subjects.NO_ROWS
    ),
    "base_prepare": Kind(
        message("operations.kind_base_prepare"),
        "bulk",
        "jobs.bases.prepare",
        6 * _HOUR,
        subjects.PREPARED_BASE,
        limit="copy",
    ),
    "base_remove": Kind(message("operations.kind_base_remove"), "default", "jobs.bases.remove", 600, subjects.NO_ROWS),
    "replica_copy": Kind(
        message("operations.kind_replica_copy"),
        "bulk",
        "jobs.bases.copy_replica",
        6 * _HOUR,
        subjects.REPLICA,
        limit="copy",
    ),
    "replica_remove": Kind(
        message("operations.kind_replica_remove"), "default", "jobs.bases.remove_replica", 600, subjects.REPLICA
    ),
    "clones_create": Kind(
        message("operations.kind_clones_create"),
        "batches",
        "jobs.clones.create",
        600,
        subjects.CREATED_CLONES,
        limit="build",
    ),
    "clones_remake": Kind(
        message("operations.kind_clones_remake"), "interactive", "jobs.clones.remake", 120, subjects.LOST_CLONES
    ),
    "clones_delete": Kind(
        message("operations.kind_clones_delete"), "batches", "jobs.clones.delete", 600, subjects.DELETED_CLONES
    ),
    "clones_start": Kind(
        message("operations.kind_clones_start"),
        "batches",
        "jobs.clones.start",
        300,
        subjects.STARTED_CLONES,
        limit="start",
    ),
    "clones_stop": Kind(
        message("operations.kind_clones_stop"), "batches", "jobs.clones.stop", 300, subjects.STOPPED_CLONES
    ),
    "clones_restart": Kind(
        message("operations.kind_clones_restart"), "batches", "jobs.clones.restart", 300, subjects.RESTARTED_CLONES
    ),
    "clones_move": Kind(
        message("operations.kind_clones_move"),
        "moves",
        "jobs.moves.move",
        6 * _HOUR,
        subjects.MOVED_CLONE,
        limit="copy",
    ),
    "viewer_offer": Kind(
        message("operations.kind_viewer_offer"), "interactive", "jobs.clones.offer", 60, subjects.NO_ROWS
    ),
}


def queue_of(kind: str, awaited: bool) -> str:
    """The queue of an operation: what a person waits for never waits behind what was asked for in bulk."""
    return "interactive" if awaited else KINDS[kind].queue


def held_by(kind: str, awaited: bool) -> str | None:
    """The node's limit that holds an operation back. What people wait for has one of its own, so that a node that
    hangs never takes all workers from the others."""
    return "now" if awaited else KINDS[kind].limit


def kinds_on(subject: Subject) -> tuple[str, ...]:
    """The names of the kinds that work on this."""
    return tuple(name for name, kind in KINDS.items() if kind.subject is subject)
