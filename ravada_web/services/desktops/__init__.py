"""Clones as their users see them: cards and launching. Administrators' lists are for clones."""
