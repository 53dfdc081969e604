"""The finder, and the places that the navigation and the keys lead to."""
