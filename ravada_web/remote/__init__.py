"""Nodes over SSH: trust, links, commands, files. Nothing here knows the database, libvirt or a request."""
