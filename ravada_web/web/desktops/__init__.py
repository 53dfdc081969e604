"""The page of one’s own desktops."""
