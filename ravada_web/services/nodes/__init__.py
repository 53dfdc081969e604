"""Node rows: list, validate, set, reach. Nothing here judges health (monitoring) or joins a host (joining)."""
