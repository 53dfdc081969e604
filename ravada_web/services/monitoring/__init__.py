"""The health of nodes: probe, judge, record, alert, notify. Nothing here repairs."""
