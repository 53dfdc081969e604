"""What an administrator sets of a node."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from flask_babel import gettext as _

from ravada_web.errors import InvalidInput
from ravada_web.models import Node, User
from ravada_web.services.audit import events
from ravada_web.services.nodes.validation import invalid_place, is_ip
from ravada_web.services.permissions import rights
from ravada_web.services.transaction import transaction

MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}")
LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=/-]{0,39}")
MOST_LABELS, LONGEST_NOTES = 20, 4000
# Beyond these, promises are no longer promises.
MOST_CPU_OVERCOMMIT, MOST_MEMORY_OVERCOMMIT = 64, 8


@dataclass(frozen=True)
class NodeSettings:
    """All that is set of a node. Memory in MiB; None is no limit; an overcommit is a factor of what is there."""

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
    display_address: str = ""
    nat_address: str = ""
    mac: str = ""
    notes: str = ""
    labels: Sequence[str] = ()


def edit(actor: User, node: Node, wanted: NodeSettings) -> None:
    """Change a node's settings. Raises InvalidInput with a reason for each field; then nothing was changed."""
    rights.require(actor, "nodes.change")
    with transaction() as session:
        place = (wanted.name, wanted.address, wanted.port, wanted.user)
        wrong = invalid_place(*place, except_id=node.id, local=node.local)
        wrong |= _out_of_range(wanted, node) | _malformed(wanted)
        if wrong:
            raise InvalidInput(wrong)
        for name, value in vars(wanted).items():
            setattr(node, name, value)
        node.labels = list(dict.fromkeys(wanted.labels))
        events.record(session, actor, "edit", node)


def _out_of_range(wanted: NodeSettings, node: Node) -> dict[str, str]:
    wrong = {}
    if wanted.clone_limit is not None and not 0 <= wanted.clone_limit <= 10_000:
        wrong["clone_limit"] = _("Between 0 and 10,000, or empty for no limit.")
    most = node.memory_total_mib or 1 << 30
    if not 0 <= wanted.memory_reserve_mib <= most:
        wrong["memory_reserve_mib"] = _("Between 0 and the node's memory, %(most)s MiB.", most=most)
    if not 1 <= wanted.builds_at_once <= 32:
        wrong["builds_at_once"] = _("Between 1 and 32.")
    if wanted.cpu_overcommit is not None and not 0.1 <= wanted.cpu_overcommit <= MOST_CPU_OVERCOMMIT:
        wrong["cpu_overcommit"] = _("Between 0.1 and %(most)s, or empty for no bound.", most=MOST_CPU_OVERCOMMIT)
    if not 0.1 <= wanted.memory_overcommit <= MOST_MEMORY_OVERCOMMIT:
        wrong["memory_overcommit"] = _("Between 0.1 and %(most)s.", most=MOST_MEMORY_OVERCOMMIT)
    return wrong


def _malformed(wanted: NodeSettings) -> dict[str, str]:
    wrong = {}
    if wanted.display_address and not is_ip(wanted.display_address):
        wrong["display_address"] = _("An IP address of the node, or empty to offer no screens there.")
    if wanted.nat_address and not wanted.display_address:
        wrong["nat_address"] = _("It stands in for the address for viewers: enter that one too.")
    elif wanted.nat_address and not is_ip(wanted.nat_address):
        wrong["nat_address"] = _("An IP address, or empty.")
    if wanted.mac and not MAC.fullmatch(wanted.mac):
        wrong["mac"] = _("Six pairs of hexadecimal digits, such as 52:54:00:12:34:56.")
    if len(wanted.notes) > LONGEST_NOTES:
        wrong["notes"] = _("At most %(most)s letters.", most=LONGEST_NOTES)
    if len(wanted.labels) > MOST_LABELS or not all(LABEL.fullmatch(label) for label in wanted.labels):
        wrong["labels"] = _(
            "At most %(most)s words of letters, digits and . _ = / -, with commas between.", most=MOST_LABELS
        )
    return wrong
