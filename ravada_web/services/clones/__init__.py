"""Clones: request, list, create, power, delete. What users see of them is for desktops."""
