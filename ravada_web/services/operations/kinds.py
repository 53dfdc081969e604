"""The kinds of operation, with all that each needs: its job and queue, its limits, its words, and what it works on."""

from dataclasses import dataclass
from typing import Literal

from flask_babel import LazyString
from flask_babel import lazy_gettext as _l

from ravada_web.services.operations import subjects
from ravada_web.services.operations.subjects import Subject

QUEUES = ("interactive", "checks", "default", "bulk")


@dataclass(frozen=True)
class Kind:
    """`job` is the dotted name of a function of (operation id, attempt); `timeout` is in seconds.

    `limit` names the node's limit that jobs of this kind share. `subject` frees what the operation works on when it
    ends early, and puts it back to work for a retry.
    """

    label: LazyString
    queue: Literal["interactive", "default", "bulk"]
    job: str
    timeout: int
    subject: Subject
    limit: Literal["build", "copy"] | None = None


_HOUR = 3600
KINDS: dict[str, Kind] = {
    "node_scan": Kind(_l("Read host key"), "interactive", "jobs.nodes.scan", 60, subjects.NOTHING),
    "node_inspect": Kind(_l("Check node"), "interactive", "jobs.nodes.inspect", 120, subjects.JOINING_NODE),
    "node_key": Kind(_l("Install key on node"), "interactive", "jobs.nodes.install_key", 180, subjects.JOINING_NODE),
    "node_mend": Kind(_l("Fix node"), "default", "jobs.nodes.mend", 1800, subjects.JOINING_NODE),
    "node_prove": Kind(_l("Test node"), "interactive", "jobs.nodes.prove", 180, subjects.JOINING_NODE),
    "alert_test": Kind(_l("Send test message"), "default", "jobs.alerts.test", 60, subjects.NOTHING),
    "pools_count": Kind(_l("Scan storage pools"), "default", "jobs.nodes.count_pools", 120, subjects.NOTHING),
    "base_import": Kind(_l("Import base"), "interactive", "jobs.bases.import_base", 300, subjects.NOTHING),
    "base_prepare": Kind(
        _l("Prepare base"), "bulk", "jobs.bases.prepare", 6 * _HOUR, subjects.PREPARED_BASE, limit="copy"
    ),
    "base_remove": Kind(_l("Remove base"), "default", "jobs.bases.remove", 600, subjects.NOTHING),
    "replica_copy": Kind(
        _l("Copy base to node"), "bulk", "jobs.bases.copy_replica", 6 * _HOUR, subjects.REPLICA, limit="copy"
    ),
    "replica_remove": Kind(_l("Remove base from node"), "default", "jobs.bases.remove_replica", 600, subjects.REPLICA),
    "clones_create": Kind(
        _l("Create clones"), "default", "jobs.clones.create", 600, subjects.CREATED_CLONES, limit="build"
    ),
    "clones_delete": Kind(_l("Delete clones"), "default", "jobs.clones.delete", 600, subjects.DELETED_CLONES),
    "clones_start": Kind(_l("Start clones"), "interactive", "jobs.clones.start", 300, subjects.STARTED_CLONES),
    "clones_stop": Kind(_l("Stop clones"), "interactive", "jobs.clones.stop", 300, subjects.STOPPED_CLONES),
    "clones_restart": Kind(_l("Restart clones"), "interactive", "jobs.clones.restart", 300, subjects.RESTARTED_CLONES),
    "viewer_offer": Kind(_l("Open in virt-viewer"), "interactive", "jobs.clones.offer", 60, subjects.NOTHING),
}


def kinds_on(subject: Subject) -> tuple[str, ...]:
    """The names of the kinds that work on this."""
    return tuple(name for name, kind in KINDS.items() if kind.subject is subject)
