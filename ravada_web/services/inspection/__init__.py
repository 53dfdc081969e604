"""The checks of a host that is to be a node, or is one: what was found, and the command that mends it."""
