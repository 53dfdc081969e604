"""What an administrator sets of a node."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ravada_web.errors import InvalidInput
from ravada_web.messages import Message, message
from ravada_web.models import Node, User
from ravada_web.services.audit import events
from ravada_web.services.nodes.validation import invalid_place, is_ip
from ravada_web.services.permissions import rights
from ravada_web.services.transaction import transaction

MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=/-]{0,39}")
MOST_LABELS, LONGEST_NOTES = 20, 4000
MOST_CLONES, MOST_BUILDS = 10_000, 32
MOST_MOVE_MIB = 100_000
# Beyond these, promises are no longer promises.
LEAST_OVERCOMMIT, MOST_CPU_OVERCOMMIT, MOST_MEMORY_OVERCOMMIT = 0.1, 64, 8


@dataclass(frozen=True)
class NodeSettings:
    """All that is set of a node. Memory in MiB; None is no limit; an overcommit is a factor of what is there. What
    moves may take is in MiB a second; 0 is no limit there, None what the product's setting says."""

    name: str
    address: str
    port: int
    user: str
    clone_limit: int | None
    memory_reserve_mib: int
    builds_at_once: int
    runs_clones: bool
    cpu_overcommit: float | None = None
    memory_overcommit: float = 1.0
    move_mib_per_second: int | None = None
    display_address: str = ""
    nat_address: str = ""
    mac: str = ""
    notes: str = ""
    labels: Sequence[str] = ()


def edit(actor: User, node: Node, settings: NodeSettings) -> None:
    """Change a node's settings. Raises InvalidInput with a reason for each field; then nothing was changed."""
    rights.require(actor, "nodes.change")
    with transaction() as session:
        place = (settings.name, settings.address, settings.port, settings.user)
        wrong = invalid_place(*place, except_id=node.id, local=node.local)
        wrong |= _out_of_range(settings, node) | _malformed(settings)
        if wrong:
            raise InvalidInput(wrong)
        for name, value in vars(settings).items():
            setattr(node, name, value)
        node.labels = list(dict.fromkeys(settings.labels))
        events.record(session, actor, "edit", node)


def _out_of_range(settings: NodeSettings, node: Node) -> dict[str, Message]:
    wrong: dict[str, Message] = {}
    if settings.clone_limit is not None and not 0 <= settings.clone_limit <= MOST_CLONES:
        wrong["clone_limit"] = message("nodes.optional_range", least=0, most=MOST_CLONES)
    most = node.memory_total_mib or 1 << 30
    if not 0 <= settings.memory_reserve_mib <= most:
        wrong["memory_reserve_mib"] = message("nodes.memory_range", most=most)
    if not 1 <= settings.builds_at_once <= MOST_BUILDS:
        wrong["builds_at_once"] = message("nodes.range", least=1, most=MOST_BUILDS)
    if not 0 <= (settings.move_mib_per_second or 0) <= MOST_MOVE_MIB:
        wrong["move_mib_per_second"] = message("nodes.optional_range", least=0, most=MOST_MOVE_MIB)
    if settings.cpu_overcommit is not None and not LEAST_OVERCOMMIT <= settings.cpu_overcommit <= MOST_CPU_OVERCOMMIT:
        wrong["cpu_overcommit"] = message("nodes.optional_range", least=LEAST_OVERCOMMIT, most=MOST_CPU_OVERCOMMIT)
    if not LEAST_OVERCOMMIT <= settings.memory_overcommit <= MOST_MEMORY_OVERCOMMIT:
        wrong["memory_overcommit"] = message("nodes.range", least=LEAST_OVERCOMMIT, most=MOST_MEMORY_OVERCOMMIT)
    return wrong


def _malformed(settings: NodeSettings) -> dict[str, Message]:
    wrong: dict[str, Message] = {}
    if settings.display_address and not is_ip(settings.display_address):
        wrong["display_address"] = message("nodes.bad_display_address")
    if settings.nat_address and not settings.display_address:
        wrong["nat_address"] = message("nodes.nat_without_display")
    elif settings.nat_address and not is_ip(settings.nat_address):
        wrong["nat_address"] = message("nodes.bad_nat_address")
    if settings.mac and not MAC.fullmatch(settings.mac):
        wrong["mac"] = message("nodes.bad_mac")
    if len(settings.notes) > LONGEST_NOTES:
        wrong["notes"] = message("nodes.notes_too_long", most=LONGEST_NOTES)
    if len(settings.labels) > MOST_LABELS or not all(LABEL.fullmatch(label) for label in settings.labels):
        wrong["labels"] = message("nodes.bad_labels", most=MOST_LABELS)
    return wrong
