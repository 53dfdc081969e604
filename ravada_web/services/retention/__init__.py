"""Rows that grow: for how long each kind is kept, what of it may go, and the archive that it goes to. What pages show
of rows, and when those of no age go, belongs to their own rooms.
"""
