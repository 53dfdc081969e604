"""From an address to a verified node. What is set of a node later is for nodes."""
