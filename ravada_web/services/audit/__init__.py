"""The append-only log: write lines, read them. How a line is worded is for the messages."""
