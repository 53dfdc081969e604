"""Change notifications for open pages. What a page shows is for other rooms."""
