"""Screens of clones: tickets, open consoles, displays, viewer files, screenshots."""
