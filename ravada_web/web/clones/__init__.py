"""Pages of clones, as administrators see them."""
