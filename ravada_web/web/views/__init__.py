"""The views, a module a topic."""
