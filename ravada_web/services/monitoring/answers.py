"""What a check queries of a node, and the node's answer."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from ravada_web.hypervisor.facts import NodeFacts
from ravada_web.hypervisor.health import NodeHealth
from ravada_web.messages import NOTHING, Message
from ravada_web.models import Away, Observed
from ravada_web.remote.offers import HostOffers
from ravada_web.remote.sampling import Sample
from ravada_web.remote.target import Target
from ravada_web.services.bases.replica_files import Expected, Finding


@dataclass(frozen=True)
class Question:
    """What a check needs of a node's row, so that its thread never touches the database."""

    target: Target
    uri: str
    paths: tuple[str, ...]
    want_facts: bool
    round: int
    # What the last check saw, and whether the node is quarantined for another host key.
    before: Observed
    quarantined: bool = False
    # The files of its replicas, as they are to be.
    files: tuple[Expected, ...] = ()
    # The networks and pools that were active when last asked, by name.
    networks: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    # Files of firmware that bases need, where facts are wanted.
    firmware: tuple[str, ...] = ()
    # The UUIDs of domains that must not run there any more.
    doomed: frozenset[str] = frozenset()
    # The networks and pools that desktops of ours stand on, by name.
    used_networks: frozenset[str] = frozenset()
    used_pools: frozenset[str] = frozenset()


@dataclass
class Answer:
    """What one check saw of one node; `reason` says why where all is not well."""

    node_id: int
    observed: Observed
    reason: Message = NOTHING
    # How it is away, where it is down.
    away: Away = Away.SILENT
    # A quarantined node showed its pinned key again, on a connection of its own.
    pinned_again: bool = False
    sample: Sample | None = None
    health: NodeHealth | None = None
    facts: NodeFacts | None = None
    offers: HostOffers | None = None
    # The number of the round (`rounds.begin`), and when the node's turn came in it, by time.monotonic().
    round: int = 0
    asked: float = field(default_factory=time.monotonic)
    # How long SSH and libvirt took to answer; None where they were not asked or did not.
    ssh_seconds: float | None = None
    libvirt_seconds: float | None = None
    libvirt_silent: bool = False
    # The files of replicas that are not as they were.
    findings: Sequence[Finding] = ()
    # Networks and pools that were off after the host was away, and were started.
    started: Sequence[str] = ()

    @property
    def proves_life(self) -> bool:
        """Whether anything at the node's address answered."""
        return self.sample is not None or (self.observed == Observed.DOWN and self.away == Away.REFUSES)

    def degrade(self, reason: Message) -> None:
        """Say that not all is well; the first reason stays."""
        if self.observed == Observed.UP:
            self.observed, self.reason = Observed.DEGRADED, reason
