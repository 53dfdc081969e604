"""The append-only log: write lines, read them back. What a line is worded like is for the messages."""
