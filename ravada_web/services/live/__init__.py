"""What open pages are told as rows change. What a page shows is for the rooms it is about."""
