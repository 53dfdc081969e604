"""The choice: clone after clone to the node of the highest rank, until all are placed or no node takes more."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ravada_web.placement.filters import first_reason
from ravada_web.placement.reserve import Cluster, Newcomer, Reserve
from ravada_web.placement.types import Decision, Demand, NodeState, Reason, Verdict
from ravada_web.placement.weighers import DEFAULT_WEIGHTS, rank, score, values


def place(
    nodes: Sequence[NodeState],
    demand: Demand,
    weights: Mapping[str, float] = DEFAULT_WEIGHTS,
    cluster: Cluster | None = None,
) -> Decision:
    """Choose a node for each of the demanded clones; where the cluster is given, what runs on any one of its nodes has
    to fit on the others afterwards.

    Every choice is charged to its node before the next is made. Equal ranks go to the lower id, so the same
    input gives the same decision. When not all fit, `placed` is empty and `fits` says how many would.
    """
    newcomer = Newcomer(demand.memory_mib, demand.onto)
    kept = Reserve(cluster, [newcomer]) if cluster and demand.start else None
    now = {node.id: node for node in nodes}
    horizon = max((node.clones for node in nodes), default=0) + demand.count + 1
    reasons = {node.id: first_reason(node, demand) for node in nodes}
    heap = [(-rank(node, horizon, weights), node.id) for node in nodes if reasons[node.id] is None]
    heapq.heapify(heap)
    placed: list[int] = []
    while heap and len(placed) < demand.count:
        _rank, node_id = heapq.heappop(heap)
        if kept and (reason := kept.refusal(node_id, newcomer)):
            reasons[node_id] = reason
            continue
        placed.append(node_id)
        if kept:
            kept.charge(node_id, newcomer)
        node = now[node_id] = charge(now[node_id], demand)
        reasons[node_id] = first_reason(node, demand)
        if reasons[node_id] is None:
            heapq.heappush(heap, (-rank(node, horizon, weights), node_id))
    if kept:
        # What was taken last may have left no room for one more.
        reasons |= {id_: kept.refusal(id_, newcomer) for id_, reason in reasons.items() if reason is None}
    verdicts = _verdicts(nodes, now, reasons, horizon, weights)
    fits = len(placed)
    return Decision(tuple(placed) if fits == demand.count else (), verdicts, demand.count, fits)


def charge(node: NodeState, demand: Demand) -> NodeState:
    """The node with one more of the demanded clones on it."""
    memory, disk = node.memory_free_mib, node.disk_free_mib
    if demand.start and memory is not None:
        memory -= demand.memory_mib
    if disk is not None:
        disk -= demand.disk_mib
    vcpus = node.vcpus_free
    return replace(
        node,
        vcpus_free=vcpus - demand.vcpus if demand.start and vcpus is not None else vcpus,
        clones=node.clones + 1,
        running=node.running + demand.start,
        memory_free_mib=memory,
        disk_free_mib=disk,
    )


def _verdicts(
    nodes: Sequence[NodeState],
    after: Mapping[int, NodeState],
    reasons: Mapping[int, Reason | None],
    horizon: int,
    weights: Mapping[str, float],
) -> tuple[Verdict, ...]:
    verdicts = []
    for node in nodes:
        taken = after[node.id].clones - node.clones
        rejected = taken == 0 and reasons[node.id] is not None
        verdicts.append(
            Verdict(
                node_id=node.id,
                node_name=node.name,
                taken=taken,
                reason=reasons[node.id],
                score=None if rejected else score(node, horizon, weights),
                weights={} if rejected else values(node, horizon),
            )
        )
    return tuple(verdicts)
