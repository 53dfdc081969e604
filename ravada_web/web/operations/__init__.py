"""Pages of operations and of workers."""
