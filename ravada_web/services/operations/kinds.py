"""The kinds of operation: the job that does each, its queue, how long it may take, and its limit a node."""

from dataclasses import dataclass
from typing import Literal

QUEUES = ("interactive", "checks", "default", "bulk")


@dataclass(frozen=True)
class Kind:
    """`limit` names the node's limit that jobs of this kind share; `timeout` is in seconds."""

    queue: Literal["interactive", "default", "bulk"]
    job: str
    timeout: int
    limit: Literal["build", "copy"] | None = None


KINDS: dict[str, Kind] = {
    "node_scan": Kind("interactive", "jobs.nodes.scan", 60),
    "node_inspect": Kind("interactive", "jobs.nodes.inspect", 120),
    "node_key": Kind("interactive", "jobs.nodes.install_key", 180),
    "node_mend": Kind("default", "jobs.nodes.mend", 1800),
    "node_prove": Kind("interactive", "jobs.nodes.prove", 180),
    "alert_test": Kind("default", "jobs.alerts.test", 60),
    "pools_count": Kind("default", "jobs.nodes.count_pools", 120),
    "base_import": Kind("interactive", "jobs.bases.import_base", 300),
    "base_prepare": Kind("bulk", "jobs.bases.prepare", 6 * 3600, limit="copy"),
    "base_remove": Kind("default", "jobs.bases.remove", 600),
    "replica_copy": Kind("bulk", "jobs.bases.copy_replica", 6 * 3600, limit="copy"),
    "replica_remove": Kind("default", "jobs.bases.remove_replica", 600),
    "clones_create": Kind("default", "jobs.clones.create", 600, limit="build"),
    "clones_delete": Kind("default", "jobs.clones.delete", 600),
    "clones_start": Kind("interactive", "jobs.clones.start", 300),
    "viewer_offer": Kind("interactive", "jobs.clones.offer", 60),
    "clones_stop": Kind("interactive", "jobs.clones.stop", 300),
    "clones_restart": Kind("interactive", "jobs.clones.restart", 300),
}
