"""Bases, their versions, replicas and offers. Clones of them have a room of their own."""
