"""Placement: the choice of nodes for clones. Pure: standard library only, values in, a decision out."""
