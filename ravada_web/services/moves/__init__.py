"""Moving clones from node to node: who may, the request, the work. Nothing about whole nodes."""
