"""The first run: tables, the local master, the checklist. Nothing here runs later."""
