"""Pages of users, groups and tables of users."""
