"""Pages of nodes and what is set of them."""
