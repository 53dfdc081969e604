"""The weighers: how attractive a node is, each from 0 to 1; a configured weight multiplies each.

A value depends on the node and the horizon alone, so that taking a clone changes the score of one node only.
"""

from collections.abc import Callable, Mapping

from ravada_web.placement.types import NodeState

Weigher = Callable[[NodeState, int], float]


def clones(node: NodeState, horizon: int) -> float:
    """Fewer clones are better: 1 for none, 0 for `horizon`, the most that any node could end with."""
    return 1 - node.clones / horizon


def memory(node: NodeState, _horizon: int) -> float:
    """The free share of its memory."""
    if not node.memory_total_mib or node.memory_free_mib is None:
        return 0.0
    return min(1.0, max(0.0, node.memory_free_mib / node.memory_total_mib))


def disk(node: NodeState, _horizon: int) -> float:
    """Free disk beyond what is kept back, saturating: 1 TiB free is half of the best."""
    if node.disk_free_mib is None:
        return 0.0
    usable = max(0, node.disk_free_mib - node.disk_reserve_mib)
    return usable / (usable + (1 << 20))


def cpu(node: NodeState, _horizon: int) -> float:
    """The idle share of its processors; an unknown load counts as busy."""
    return 1 - min(1.0, max(0.0, node.cpu_load)) if node.cpu_load is not None else 0.0


WEIGHERS: Mapping[str, Weigher] = {"clones": clones, "memory": memory, "disk": disk, "cpu": cpu}

# The weight of `clones` is for each clone (it is multiplied by the horizon): 4 is more than the others can sum up
# to, so that by default nodes stay within one clone of even and the others decide between equals. A cluster of
# unlike nodes may want less, such as 0.2: then a fifth more of free memory is worth one clone more.
DEFAULT_WEIGHTS: Mapping[str, float] = {"clones": 4.0, "memory": 1.0, "disk": 0.5, "cpu": 0.5}


def values(node: NodeState, horizon: int) -> dict[str, float]:
    """Each weigher's value for the node."""
    return {name: weigher(node, horizon) for name, weigher in WEIGHERS.items()}


def score(node: NodeState, horizon: int, weights: Mapping[str, float]) -> float:
    """The weighted sum of the values, from 0 to the sum of the weights: what a verdict shows."""
    return sum(weights.get(name, 0.0) * value for name, value in values(node, horizon).items())


def rank(node: NodeState, horizon: int, weights: Mapping[str, float]) -> float:
    """What nodes are chosen by, the highest first: the same sum, with the weight of `clones` for each clone."""
    each_clone = weights.get("clones", 0.0) * (horizon - 1) * clones(node, horizon)
    return score(node, horizon, weights) + each_clone
