"""Pages of operations and of workers, and the probes: whether work would be done."""
