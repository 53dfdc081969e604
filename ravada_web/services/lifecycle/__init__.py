"""A node's service state, from enabling to removal. Its health is for monitoring."""
