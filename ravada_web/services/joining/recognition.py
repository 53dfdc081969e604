"""Who a host is that answers at a node's address with another host key: the node itself, its system installed anew, or
somebody else's. Pure: told apart by machine IDs, host keys, and whose files it holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Who(StrEnum):
    """`same`: the node, its key was changed. `emptied`: by its machine ID it may be the node, but nothing
    of what should be there is. `anew`: a
    system installed anew, with nothing of ours. `kept`: the same, but the pool holds files of ours. `other`: another
    node, or a copy of its disk. `former`: what the node was before another host took its place."""

    SAME = "same"
    EMPTIED = "emptied"
    ANEW = "anew"
    KEPT = "kept"
    OTHER = "other"
    FORMER = "former"


# What may be joined as a new host in the node's place, and what a person may say is the node all the same.
MAY_TAKE_PLACE = (Who.ANEW, Who.EMPTIED, Who.KEPT)
MAY_BE_NODE = (Who.EMPTIED, Who.KEPT)


@dataclass(frozen=True)
class Identity:
    """What a node is known by: its host key, its machine ID ("" where none was seen), and both of the hosts that were
    it before."""

    name: str
    host_key: str
    machine_id: str
    former: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True)
class Holdings:
    """Files of ours, counted: of the node's own desktops, of bases, and of other nodes' desktops by the nodes' names.
    Of a host, what is there; of a node, what should be."""

    desktops: int = 0
    bases: int = 0
    others: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """Who the host is; `node` is the other node that it is, or was, or ("" for none) shares its machine ID with."""

    who: Who
    node: str = ""


def recognise(
    host_key: str, machine_id: str, found: Holdings, node: Identity, expected: Holdings, others: Sequence[Identity]
) -> Verdict:
    """Who the host with this key and machine ID is that answers at the node's address."""
    if known := _known_by_key(host_key, node, others):
        return known
    # Where one of them has no machine ID, or it was never seen, files alone tell.
    agrees = machine_id == node.machine_id or "" in (machine_id, node.machine_id)
    if agrees and _has_its_own(found, expected):
        return Verdict(Who.SAME)
    if found.others:
        return Verdict(Who.OTHER, max(sorted(found.others), key=lambda name: found.others[name]))
    if agrees:
        return Verdict(Who.EMPTIED)
    holds = bool(found.desktops or found.bases)
    if holds and (known := _known_by_machine_id(machine_id, node, others)):
        return known
    twin = next((other.name for other in others if machine_id and other.machine_id == machine_id), "")
    return Verdict(Who.KEPT if holds else Who.ANEW, twin)


def _known_by_key(host_key: str, node: Identity, others: Sequence[Identity]) -> Verdict | None:
    for one in (node, *others):
        if any(host_key == key for key, _machine_id in one.former):
            return Verdict(Who.FORMER, one.name)
    other = next((one.name for one in others if one.host_key == host_key), "")
    return Verdict(Who.OTHER, other) if other else None


def _known_by_machine_id(machine_id: str, node: Identity, others: Sequence[Identity]) -> Verdict | None:
    """A machine ID alone may be that of an image that many hosts are installed from; with files of ours it is not."""
    for one in (node, *others):
        if machine_id and any(machine_id == former for _key, former in one.former):
            return Verdict(Who.FORMER, one.name)
    other = next((one.name for one in others if machine_id and one.machine_id == machine_id), "")
    return Verdict(Who.OTHER, other) if other else None


def _has_its_own(found: Holdings, expected: Holdings) -> bool:
    """Whether what should be there is, as far as that tells anything: a base's files are the same on every node."""
    if expected.desktops:
        return found.desktops > 0
    return found.bases > 0 if expected.bases else not found.others
