"""What each node has and has promised, as placement sees it."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from ravada_web.config import settings
from ravada_web.guard import guarded
from ravada_web.messages import Message
from ravada_web.models import (
    USING_MEMORY,
    AllowedNode,
    Base,
    BaseVersion,
    Cause,
    Clone,
    CloneState,
    Node,
    Observed,
    Pool,
    Remains,
    Replica,
    ReplicaState,
)
from ravada_web.placement.types import NodeState
from ravada_web.services.nodes.offers import offers_of
from ravada_web.services.storage import pools

_COMING = Clone.start_after & Clone.state.in_([CloneState.REQUESTED, CloneState.CREATING, CloneState.MOVING])
# Clones that run, or are to run as soon as they are made, or have moved.
WILL_RUN = Clone.state_in_use.in_(USING_MEMORY) | _COMING
# Of those that are on their way to a node: they run meanwhile, are shut down first, or are off until they are there.
_RUNS_THERE = Clone.moves_live | (Clone.state == CloneState.STOPPING) | _COMING


def node_states(session: Session, version: BaseVersion, among: Select[int] | None = None) -> list[NodeState]:
    """Every node, or those of these ids, as placement sees it for this version, in a handful of queries."""
    query = select(Node).order_by(Node.id)
    nodes = session.scalars(query if among is None else query.where(Node.id.in_(among))).all()
    seen = NodeViews(session, nodes, [version])
    return [seen.of(version, node.id) for node in nodes]


class NodeViews:
    """Nodes as placement sees them for versions of bases, in a handful of queries however many there are of both."""

    def __init__(self, session: Session, nodes: Collection[Node], versions: Collection[BaseVersion]) -> None:
        self._nodes = {node.id: node for node in nodes}
        allowed = select(AllowedNode.base_id, AllowedNode.node_id)
        base_ids = {version.base_id for version in versions}
        ticked = session.execute(allowed.where(AllowedNode.base_id.in_(base_ids)))
        self._allowed = {(base_id, node_id) for base_id, node_id in ticked}
        held = select(Replica.version_id, Replica.node_id, Replica.state, Replica.directory)
        of_these = held.where(Replica.version_id.in_({version.id for version in versions}))
        self._replicas = {(row[0], row[1]): (row[2], row[3]) for row in session.execute(of_these)}
        self._loads = node_loads(session)
        self._seen: dict[tuple[int, int], NodeState] = {}

    def of(self, version: BaseVersion, node_id: int) -> NodeState:
        """The node as it is for clones of this version."""
        key = (version.id, node_id)
        if key not in self._seen:
            self._seen[key] = self._view(version, self._nodes[node_id])
        return self._seen[key]

    def _view(self, version: BaseVersion, node: Node) -> NodeState:
        state, directory = self._replicas.get((version.id, node.id), (None, ""))
        allowed = (version.base_id, node.id) in self._allowed
        failures: list[Message] = []
        with guarded(failures.append, node=node.name):
            return _state(node, allowed, state, directory, self._loads.get(node.id, Load()))
        return _unreadable(node, allowed, failures[0])


class Load:
    """What the rows of a node's clones reserve on it: counts, and MiB of memory and disk."""

    def __init__(self) -> None:
        self.clones = 0
        self.running = 0
        self.committed_mib = 0
        self.newer_mib = 0
        self.young = 0
        self.vcpus = 0


def node_loads(session: Session, node_ids: Collection[int] | None = None) -> dict[int, Load]:
    """The loads of all nodes that have clones, or of these alone, from the clones' rows.

    `committed_mib` is the memory of what runs or is to run; `newer_mib` that part of it that the node's last
    figures cannot show yet; `young` counts the clones made after the disk was sampled; `vcpus` those that run.
    """
    newer = WILL_RUN & (_COMING | (Clone.state == CloneState.STARTING) | (Clone.started_round >= Node.figures_round))
    # By the rounds of checks, and not by clocks, of which the node's check may have had another.
    young = (Clone.made_round >= Node.figures_round) | Clone.state.in_([CloneState.REQUESTED, CloneState.CREATING])
    query = (
        select(
            Clone.node_id,
            func.count(),
            func.count().filter(WILL_RUN),
            func.coalesce(func.sum(Clone.memory_mib).filter(WILL_RUN), 0),
            func.coalesce(func.sum(Clone.memory_mib).filter(newer), 0),
            func.count().filter(young),
            func.coalesce(func.sum(Base.vcpus).filter(WILL_RUN), 0),
        )
        .join(Node, Node.id == Clone.node_id)
        .join(Base, Base.id == Clone.base_id)
        .where(~Clone.lost)
        .group_by(Clone.node_id)
    )
    if node_ids is not None:
        query = query.where(Clone.node_id.in_(node_ids))
    loads: dict[int, Load] = {}
    for node_id, *figures in session.execute(query):
        load = loads[node_id] = Load()
        load.clones, load.running, load.committed_mib, load.newer_mib, load.young, load.vcpus = map(int, figures)
    for node_id, count, running, memory, vcpus in _arriving(session, node_ids):
        load = loads.setdefault(node_id, Load())
        load.clones, load.young = load.clones + count, load.young + count
        load.running, load.vcpus = load.running + running, load.vcpus + vcpus
        load.committed_mib, load.newer_mib = load.committed_mib + memory, load.newer_mib + memory
    return loads


def _arriving(session: Session, node_ids: Collection[int] | None) -> Sequence[Sequence[int]]:
    """How many clones are being moved to each node, and how many of them will run there, with these ones' memory and
    virtual processors: they have their places there, though they stand elsewhere."""
    memory, vcpus = (func.sum(each).filter(_RUNS_THERE) for each in (Clone.memory_mib, Base.vcpus))
    query = (
        select(
            Remains.node_id,
            func.count(),
            func.count().filter(_RUNS_THERE),
            func.coalesce(memory, 0),
            func.coalesce(vcpus, 0),
        )
        .outerjoin(Clone, Clone.uuid == Remains.uuid)
        .outerjoin(Base, Base.id == Clone.base_id)
        .where(Remains.cause == Cause.ARRIVING)
        .group_by(Remains.node_id)
    )
    if node_ids is not None:
        query = query.where(Remains.node_id.in_(node_ids))
    return [[int(figure) for figure in row] for row in session.execute(query)]


def memory_free(node: Node, load: Load) -> int | None:
    """MiB that can still be promised: the less of what was measured (less newer starts) and of what no clone holds."""
    unpromised = _unpromised_mib(node, load)
    if unpromised is None or node.memory_free_mib is None:
        return None
    return max(0, min(node.memory_free_mib - load.newer_mib, unpromised))


def vcpus_free(node: Node, load: Load) -> int | None:
    """Virtual processors that can still be promised to clones that run; None where there is no bound."""
    unpromised = _unpromised_vcpus(node, load)
    return None if unpromised is None else max(0, unpromised)


def overpromised(session: Session, node: Node) -> tuple[int, int]:
    """By how much memory (MiB) and virtual processors what runs or is to run on the node exceeds what may be promised
    there; 0 or less where it does not."""
    load = node_loads(session, {node.id}).get(node.id, Load())
    return -(_unpromised_mib(node, load) or 0), -(_unpromised_vcpus(node, load) or 0)


def _unpromised_mib(node: Node, load: Load) -> int | None:
    if node.memory_total_mib is None:
        return None
    return int(node.memory_total_mib * node.memory_overcommit) - load.committed_mib


def _unpromised_vcpus(node: Node, load: Load) -> int | None:
    if node.cpu_overcommit is None or node.cpus is None:
        return None
    return int(node.cpus * node.cpu_overcommit) - load.vcpus


def all_states(session: Session) -> list[NodeState]:
    """Every node, whatever base its room is for."""
    loads = node_loads(session)
    states: list[NodeState] = []
    for node in session.scalars(select(Node).order_by(Node.id)):
        failures: list[Message] = []
        with guarded(failures.append, node=node.name):
            states.append(_state(node, True, ReplicaState.READY, "", loads.get(node.id, Load())))
        states += [_unreadable(node, True, why) for why in failures]
    return states


def starting_states(session: Session, nodes: Collection[Node]) -> dict[int, NodeState]:
    """These nodes, by their ids, as the rule for starting what stands on them sees them. A clone's disk is there
    already, so what new ones are charged of the pool does not count. Hold the placement lock to decide by it."""
    loads = node_loads(session, {node.id for node in nodes}) if nodes else {}
    states = {node.id: _state(node, True, ReplicaState.READY, "", loads.get(node.id, Load())) for node in nodes}
    return {node.id: replace(states[node.id], disk_free_mib=_disk_free(pools.working_pool(node), 0)) for node in nodes}


def _state(node: Node, allowed: bool, replica: str | None, directory: str, load: Load) -> NodeState:
    pool = pools.active_pool(node, directory)
    return NodeState(
        id=node.id,
        name=node.name,
        service_state=node.service_state,
        observed=node.observed,
        reason=node.why.to_json() if node.why else {},
        trust=node.trust,
        allowed=allowed,
        replica=replica,
        memory_total_mib=node.memory_total_mib,
        memory_free_mib=memory_free(node, load),
        memory_reserve_mib=node.memory_reserve_mib,
        disk_free_mib=_disk_free(pool, load.young),
        disk_reserve_mib=pools.floor_mib(pool) if pool else settings().disk_reserve_mib,
        pool_active=pool is not None,
        cpu_load=node.cpu_load,
        vcpus_free=vcpus_free(node, load),
        clones=load.clones,
        running=load.running,
        clone_limit=node.clone_limit,
        runs_clones=node.runs_clones,
        offers=offers_of(node),
    )


def _unreadable(node: Node, allowed: bool, why: Message) -> NodeState:
    """A node whose row makes no sense: it takes nothing, and its verdict says so."""
    return NodeState(
        id=node.id,
        name=node.name,
        service_state=node.service_state,
        observed=Observed.DEGRADED,
        reason=why.to_json(),
        trust=node.trust,
        allowed=allowed,
        replica=None,
        memory_total_mib=None,
        memory_free_mib=None,
        memory_reserve_mib=0,
        disk_free_mib=None,
        disk_reserve_mib=0,
        cpu_load=None,
        clones=0,
        running=0,
        clone_limit=None,
    )


def _disk_free(pool: Pool | None, young: int) -> int | None:
    if pool is None or pool.free_mib is None:
        return None
    return max(0, pool.free_mib - young * settings().overlay_charge_mib)
