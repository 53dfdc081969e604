"""How nodes are: probe, judge, record, alert, notify. Nothing here repairs."""
