"""The one process that stays root on a host that is a node itself: it runs the commands that `remote` knows, on what
this host's libvirt says is a pool's, and passes libvirt and displays on. Nothing of the database, Redis or the network.
"""
