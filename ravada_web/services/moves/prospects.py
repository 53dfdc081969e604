"""What a move of one clone to each of several nodes would come to: how it can go there, why not, and what changes."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy.orm import Session

from ravada_web.messages import NOTHING, Message, message
from ravada_web.messages.placement import reason_message
from ravada_web.models import USING_MEMORY, Clone, Node
from ravada_web.placement.moving import Way, machine_there
from ravada_web.placement.reserve import Newcomer, Reserve
from ravada_web.placement.types import Reason
from ravada_web.platforms import ANY
from ravada_web.services.bases import migration
from ravada_web.services.moves.verdicts import verdicts
from ravada_web.services.nodes.facts import subnets_of
from ravada_web.services.nodes.offers import needs_of
from ravada_web.services.placements import reserve


@dataclass(frozen=True)
class Prospect:
    """A move to one node: how it can go there; why not at all (`refusal`), or only while it is off (`not_live`); and
    what of it becomes another there. Each is an empty message where there is nothing to say."""

    node: Node
    way: Way
    refusal: Message
    not_live: Message
    machine: Message
    address: Message


class Prospects:
    """Moves of one clone to any of these nodes. Hold the placement lock to decide by them."""

    def __init__(self, session: Session, clone: Clone, nodes: Collection[Node]) -> None:
        self._clone = clone
        self._verdicts = verdicts(session, [clone], nodes)
        self._groups = migration.groups_for(session, clone.base)
        kept = reserve.kept(session, [clone.base_id]) if clone.state_in_use in USING_MEMORY else None
        self._newcomer = Newcomer(clone.memory_mib, kept.onto_of(clone.base, clone.volatile) if kept else frozenset())
        self._reserve = Reserve(kept.cluster, [self._newcomer]) if kept else None

    def of(self, node: Node) -> Prospect:
        """The move to this node."""
        refusal, not_live = self.refusal(node, live=False), self.refusal(node, live=True)
        way = Way.NONE if refusal else Way.COLD if not_live else Way.LIVE
        return Prospect(
            node=node,
            way=way,
            refusal=refusal,
            not_live=NOTHING if refusal else not_live,
            machine=self._machine(node),
            address=self._address(node),
        )

    def refusal(self, node: Node, *, live: bool) -> Message:
        """Why the clone cannot move to the node, or not `live`; an empty message where it can."""
        verdict = self._verdicts[self._clone.id, node.id]
        reason = verdict.reason if live or verdict.way == Way.NONE else None
        reason = reason or self._reserved(node)
        return message("clones.why_other", node=node.name, reason=reason_message(reason)) if reason else NOTHING

    def _reserved(self, node: Node) -> Reason | None:
        """Why one that runs cannot: the memory there is kept for the loss of a node."""
        if self._reserve is None or self._reserve.allows(self._newcomer, self._clone.node_id, node.id):
            return None
        return Reason("kept_for_loss")

    def _machine(self, node: Node) -> Message:
        """The machine type that it has there once it has moved while it is off, where that is another one."""
        host, now = self._groups.hosts.get(node.id), self._clone.machine
        if host is None or not now:
            return NOTHING
        given = next((group.platform for group in self._groups.groups if node.id in group.node_ids), ANY)
        becomes = machine_there(now, given, host)
        return message("moves.machine_changes", machine=now, becomes=becomes) if becomes != now else NOTHING

    def _address(self, node: Node) -> Message:
        """What may become of its IP address, as the networks of both nodes are known."""
        here, there = subnets_of(self._clone.node), subnets_of(node)
        for network in [need.value for need in needs_of(self._clone.base) if need.kind == "network"]:
            if network not in here or network not in there:
                return message("moves.address_unknown", network=network)
            if here[network] != there[network]:
                return message("moves.address_changes", network=network, here=here[network], there=there[network])
        return NOTHING
