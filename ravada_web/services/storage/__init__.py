"""Pools of nodes: room, usage, forecast, file names. Copies and disks are made elsewhere."""
