"""The one door: an asyncio process that passes pages on to the web, streams what changed to open pages, and joins
browsers to the displays of clones on their nodes. No thread per viewer; it outlives restarts of the web."""
