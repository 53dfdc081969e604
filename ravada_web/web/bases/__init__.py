"""Pages of bases, their import and their access."""
