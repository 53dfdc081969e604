"""Pages that lead from an address to a verified node."""
