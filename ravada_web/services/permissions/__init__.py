"""Who may do what, and of which objects. Nothing here reads or changes the objects themselves."""
