"""What is said of operations: why they wait, how they ended, what cannot be done to them; and their kinds."""

from ravada_web.messages.marks import N_, Plural, Template

TEXTS: dict[str, Template] = {
    # How one ended
    "operations.cancelled": N_("Cancelled."),
    "operations.cancelled_by": N_("Cancelled by %(name)s."),
    "operations.unexpected": N_("Unexpected error: %(error)s. The log of the workers has the details."),
    "operations.worker_died": Plural(
        "The worker crashed %(count)s time. Check the log of the workers, then retry.",
        "The worker crashed %(count)s times. Check the log of the workers, then retry.",
    ),
    "operations.left_unfinished": N_("Its operation ended before this was done."),
    # What cannot be done
    "operations.not_found": N_("Operation not found."),
    "operations.beyond_scope": N_("This also affects desktops, bases or nodes outside your scope."),
    "operations.nothing_to_retry": N_("“%(title)s” has not failed, so there is nothing to retry."),
    "operations.nothing_to_cancel": N_("Nothing to cancel: the selected operations have already finished."),
    "operations.clones_moved_on": N_(
        "The clones of “%(title)s” have changed since. Request the action again on the clones."
    ),
    "operations.replica_gone": N_("The copy of “%(title)s” no longer exists. Select the node again."),
    "operations.jobs_need_all": N_("Only users who may see all operations can view jobs."),
    "operations.no_such_queue": N_("There is no such queue, or no such state of a job."),
    "operations.job_gone": N_(
        "This job no longer exists: Redis keeps a job for a minute after it succeeds and for a day after it fails, at "
        "most. Its operation says how it ended."
    ),
    "operations.queue_unreachable": N_(
        "Nothing was changed: the service is temporarily unavailable. Try again in a minute."
    ),
    # What one waits for
    "operations.no_worker": N_("No worker serves the queue “%(queue)s”. Start one; see Workers."),
    "operations.being_handed_over": N_("Being handed to a worker."),
    "operations.starting_shortly": N_("Starting shortly."),
    "operations.workers_busy": Plural(
        "Waiting for a free worker: the only worker of the queue “%(queue)s” is busy.",
        "Waiting for a free worker: all %(count)s workers of the queue “%(queue)s” are busy.",
    ),
    "operations.node_busy": Plural(
        "Node %(node)s runs %(count)s of these at a time.",
        "Node %(node)s runs %(count)s of these at a time.",
    ),
    "operations.now_running": N_("Now running: “%(title)s”."),
    # The kinds
    "operations.kind_node_scan": N_("Read host key"),
    "operations.kind_node_inspect": N_("Check node"),
    "operations.kind_node_key": N_("Install key on node"),
    "operations.kind_node_mend": N_("Fix node"),
    "operations.kind_node_prove": N_("Test node"),
    "operations.kind_node_give_up": N_("Give up node"),
    "operations.kind_node_export": N_("Export disks"),
    "operations.kind_node_replace": N_("Join new host in place of node"),
    "operations.kind_node_orphans": N_("Look for orphans"),
    "operations.kind_node_return": N_("Clean up returned node"),
    "operations.kind_fence_test": N_("Ask for power state"),
    "operations.kind_fence_off": N_("Turn off node"),
    "operations.kind_host_off": N_("Shut down host"),
    "operations.kind_host_restart": N_("Restart host"),
    "operations.kind_host_wake": N_("Wake host"),
    "operations.kind_alert_test": N_("Send test message"),
    "operations.kind_pools_count": N_("Scan storage pools"),
    "operations.kind_base_inspect": N_("Inspect for import"),
    "operations.kind_base_import": N_("Import base"),
    "operations.kind_base_prepare": N_("Prepare base"),
    "operations.kind_base_remove": N_("Remove base"),
    "operations.kind_replica_copy": N_("Copy base to node"),
    "operations.kind_replica_remove": N_("Remove base from node"),
    "operations.kind_clones_create": N_("Create clones"),
    "operations.kind_clones_remake": N_("Make clones again elsewhere"),
    "operations.kind_clones_delete": N_("Delete clones"),
    "operations.kind_clones_start": N_("Start clones"),
    "operations.kind_clones_stop": N_("Stop clones"),
    "operations.kind_clones_restart": N_("Restart clones"),
    "operations.kind_clones_move": N_("Move clone"),
    "operations.kind_viewer_offer": N_("Open in virt-viewer"),
}
