"""Pages of pools and what uses them."""
