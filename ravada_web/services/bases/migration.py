"""Migration groups of bases: which of a base's nodes run its clones alike, from what the nodes offer now."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from ravada_web.guard import guarded
from ravada_web.hypervisor.platform import chosen
from ravada_web.messages import NOTHING, Figure, Message, message
from ravada_web.messages.placement import reason_message
from ravada_web.models import AllowedNode, Base, Node, ServiceState
from ravada_web.placement.migration import Group, apart, common, groups_of
from ravada_web.platforms import ANY, OF_HOST, Host, Platform
from ravada_web.services.nodes.platforms import hosts_among

# Groups of more nodes are told by their number.
MOST_NAMED = 12


def allowed_nodes(base: Base) -> Select[int]:
    """The ids of the nodes that may run the base and were not given up, whatever state they are in: they return."""
    ticked = select(AllowedNode.node_id).where(AllowedNode.base_id == base.id)
    return select(Node.id).where(Node.id.in_(ticked), Node.service_state != ServiceState.GIVEN_UP)


def platform_on(session: Session, base: Base, node_id: int) -> Platform:
    """What a clone that is made on the node now has: its group's machine type and processor; ANY where the node is in
    no group."""
    groups = groups_of(hosts_among(session, allowed_nodes(base)), chosen(base.template_xml))
    return next((group.platform for group in groups if node_id in group.node_ids), ANY)


@dataclass(frozen=True)
class Groups:
    """A base's migration groups, the largest first, and what each node that was ever asked offers, by its id."""

    chosen: Platform
    hosts: Mapping[int, Host]
    allowed: Collection[int]
    groups: Sequence[Group]

    def note(self, node_id: int) -> Message:
        """What the node means for the largest group: why it is not in it, or what it would cost to tick it, known or
        not; nothing where it fits in as it is."""
        host = self.hosts.get(node_id)
        if not self.groups or node_id in self.groups[0].node_ids:
            return NOTHING
        if host is None:
            return NOTHING if node_id in self.allowed else message("bases.would_be_unknown")
        main = [*{self.hosts[id_] for id_ in self.groups[0].node_ids}]
        why, is_allowed = apart(main, host, self.chosen), node_id in self.allowed
        if why is not None:
            return message(f"bases.{'is' if is_allowed else 'would_be'}_apart", why=reason_message(why))
        after = common([*main, host], self.chosen)
        return NOTHING if is_allowed or after is None else _cost(self.groups[0].platform, after)

    def lines(self, names: Mapping[int, str]) -> list[Message]:
        """A line for each group, of the nodes with these names, by their ids; then those that nobody has asked yet."""
        lines = [_line(group, names) for group in self.groups if set(group.node_ids) & set(names)]
        unseen = [node_id for node_id in self.allowed if node_id in names and node_id not in self.hosts]
        return [*lines, message("bases.group_not_seen", nodes=_named(unseen, names))] if unseen else lines


def groups_for(session: Session, base: Base) -> Groups:
    """The base's migration groups; none for one whose template cannot be read."""
    hosts = hosts_among(session, select(Node.id))
    allowed = set(session.scalars(allowed_nodes(base)))
    with guarded(_no_groups, base=base.name):
        wanted = chosen(base.template_xml)
        groups = groups_of({id_: host for id_, host in hosts.items() if id_ in allowed}, wanted)
        return Groups(wanted, hosts, allowed, groups)
    return Groups(ANY, hosts, allowed, [])


def _no_groups(_reason: Message) -> None:
    """Its clones are not made either, and say why."""


def _cost(before: Platform, after: Platform) -> Message:
    changes = [
        message(f"bases.change_{name}", before=_shown(was), after=_shown(becomes))
        for name, was, becomes in (
            ("machine", before.machine, after.machine),
            ("processor", before.processor, after.processor),
        )
        if was != becomes
    ]
    return message("bases.would_change", changes=changes) if changes else NOTHING


def _shown(name: str) -> Message | str:
    return message("bases.processor_of_host") if name == OF_HOST else name or message("bases.processor_default")


def _line(group: Group, names: Mapping[int, str]) -> Message:
    nodes, machine, processor = _named(group.node_ids, names), group.platform.machine, group.platform.processor
    if not machine:
        return message("bases.group_unlike", nodes=nodes)
    if processor == OF_HOST:
        return message("bases.group_of_hosts", nodes=nodes, machine=machine)
    if len(group.node_ids) == 1:
        return message("bases.group_of_one", nodes=nodes, machine=machine, processor=_shown(processor))
    return message("bases.group", nodes=nodes, machine=machine, processor=_shown(processor))


def _named(node_ids: Sequence[int], names: Mapping[int, str]) -> Figure:
    shown = [names[node_id] for node_id in node_ids if node_id in names]
    return shown if len(shown) <= MOST_NAMED else message("bases.group_nodes", count=len(shown))
