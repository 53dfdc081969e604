"""Writing what was learned of a node into its row and its pools' rows."""

from collections.abc import Mapping
from datetime import datetime

from ravada_web.hypervisor.facts import NodeFacts, PoolFacts
from ravada_web.models import Node, Pool, now
from ravada_web.remote.offers import HostOffers
from ravada_web.remote.sampling import Sample
from ravada_web.services.nodes.offers import offered
from ravada_web.services.nodes.platforms import store_platform

MIB = 1024 * 1024


def store_facts(node: Node, facts: NodeFacts, host: HostOffers | None) -> None:
    """Keep what the node's hypervisor and its host can do, and its pools."""
    # What only an inspection reads (the processor, the distribution) stays; so do the offers of a host that was not
    # asked this time.
    host = host or HostOffers.from_dict(node.facts.get("host"))
    offers = {"offers": offered(facts, host), "host": host.to_dict() if host else None}
    node.facts, node.facts_at = node.facts | facts.to_dict() | offers, now()
    store_platform(node, facts)
    node.host_uuid = facts.host_uuid or node.host_uuid
    node.cpus = facts.cpus
    # Where it was measured that counts: libvirt reports the memory of when it started, on some hosts of less.
    node.memory_total_mib = node.memory_total_mib or facts.memory_mib
    store_pools(node, facts.pools)


def store_sample(node: Node, sample: Sample, moment: datetime) -> None:
    """Keep the figures of memory, load and room that were measured at that moment."""
    node.memory_total_mib, node.memory_free_mib = sample.memory_total_mib, sample.memory_available_mib
    node.figures_at = moment
    node.cpu_load = min(1.0, sample.load1 / node.cpus) if node.cpus else None
    for pool in node.pools:
        if pool.path in sample.disks:
            total, free = sample.disks[pool.path]
            pool.total_mib, pool.free_mib, pool.sampled_at = total // MIB, free // MIB, moment
        else:
            pool.free_mib = None  # queried, and not there: unknown, which counts as full


def store_pools(node: Node, seen: tuple[PoolFacts, ...]) -> None:
    """Make the node's pool rows those that were seen; free space is the sample's to say (libvirt's is stale)."""
    known = {pool.name: pool for pool in node.pools}
    for facts in seen:
        pool = known.pop(facts.name, None)
        if pool is None:
            pool = Pool(name=facts.name, total_mib=facts.capacity_mib, free_mib=facts.free_mib, sampled_at=now())
            node.pools.append(pool)
        pool.path, pool.active = facts.path, facts.active
    for pool in known.values():
        node.pools.remove(pool)


def facts_of(node: Node) -> NodeFacts:
    """The node's facts as last read."""
    return NodeFacts.from_dict(node.facts)


def subnets_of(node: Node) -> Mapping[str, str]:
    """What the node's networks are, by their names, as last read; nothing of a node that was never asked is known."""
    subnets: Mapping[str, str] = node.facts.get("subnets", {})
    return subnets
