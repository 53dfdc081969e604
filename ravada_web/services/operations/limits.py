"""The keys of the limits that keep a node from doing too much at a time, as RQ's rate limits know them."""


def limit_key(node_id: int, limit: str) -> str:
    """The key of a node's limit ("build" or "copy"): jobs of one key share its slots."""
    return f"node-{node_id}:{limit}"


def limit_of(key: str) -> str:
    """Which limit a key is of."""
    return key.partition(":")[2]
