"""The values that placement takes and gives; all frozen, all plain."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ravada_web.needs import Need, Offers

# A mapping is a message of the product's in plain JSON types, which placement passes on unread.
Figure = int | float | str | Sequence[Any] | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NodeState:
    """A node as placement sees it, what is reserved on it already taken off. Sizes in MiB; None is unknown,
    and counts as nothing free. `reason` is why it is `observed` so, passed on unread; `replica` the state of the base
    version's replica there, None where it has none; `vcpus_free` may still run there, None without bound; `offers` is
    what it has that bases may need; `pool_active` whether the storage pool that its clones are in is started."""

    id: int
    name: str
    service_state: str
    observed: str
    reason: Mapping[str, Any]
    trust: str
    allowed: bool
    replica: str | None
    memory_total_mib: int | None
    memory_free_mib: int | None
    memory_reserve_mib: int
    disk_free_mib: int | None
    disk_reserve_mib: int
    cpu_load: float | None
    clones: int
    running: int
    clone_limit: int | None
    runs_clones: bool = True
    vcpus_free: int | None = None
    offers: Offers = field(default_factory=dict)
    pool_active: bool = True


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked for: `count` clones, each of so much memory (taken at once if they `start`) and disk, in MiB; what
    their base needs of a node; and the nodes that one would be made again `onto` if its own died, if any."""

    count: int
    memory_mib: int
    disk_mib: int
    start: bool
    vcpus: int = 1
    needs: tuple[Need, ...] = ()
    onto: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a node takes none, or no more: a code, and the figures in it."""

    code: str
    figures: Mapping[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided of one node: how many it took, why no more (None: it could take more), and what made it
    attractive at first (`score` is the sum of `weights`; None where it was rejected at once). Where a kept decision
    holds no score of the node's own, it lies between `score` and `best`."""

    node_id: int
    node_name: str
    taken: int
    reason: Reason | None
    score: float | None
    weights: Mapping[str, float] = field(default_factory=dict)
    best: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The choice for one request: `placed` has a node's id for each clone, and is empty unless all fit."""

    placed: tuple[int, ...]
    verdicts: tuple[Verdict, ...]
    requested: int
    fits: int

    @property
    def complete(self) -> bool:
        """Whether all that was requested was placed."""
        return self.fits >= self.requested

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types, for pages."""
        return {
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
            "requested": self.requested,
            "fits": self.fits,
        }
