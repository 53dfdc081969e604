"""Why a node takes no clone, or no more, and why a request did not fit."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ravada_web.messages.marks import N_, Plural, Template
from ravada_web.messages.message import NOTHING, Message, message
from ravada_web.messages.needs import need_message

_FIGURE = re.compile(r"%\((\w+)\)s")
TEXTS: dict[str, Template] = {
    # Each follows the name of a node
    "placement.not_enabled": N_("is %(wanted)s: an administrator can enable it"),
    "placement.given_up": N_("was given up: an administrator can take it back"),
    "placement.kept_free": N_("is set to run no desktops"),
    "placement.quarantined": N_("presents a different host key from the accepted one: an administrator must verify it"),
    "placement.not_up": N_("is %(observed)s"),
    "placement.not_up_because": N_("is %(observed)s: %(why)s"),
    "placement.not_allowed": N_("is not selected on the Nodes tab of the base"),
    "placement.lacks": N_("needs %(missing)s for this base"),
    "placement.no_replica": N_("has no copy of the base"),
    "placement.replica_not_ready": N_("has a copy of the base that is %(replica)s"),
    "placement.memory": N_(
        "needs %(need_mib)s of memory for each clone; %(have_mib)s are free after the %(reserve_mib)s reserved"
    ),
    "placement.memory_in_all": N_(
        "needs %(need_mib)s of memory for each clone; it has %(have_mib)s in all after the %(reserve_mib)s reserved"
    ),
    "placement.memory_unknown": N_("its free memory is not known, which counts as none"),
    "placement.processors": N_("needs %(need)s virtual processors for each clone; its overcommit leaves %(have)s"),
    "placement.disk": N_(
        "needs %(need_mib)s of disk for each clone; %(have_mib)s are free after the %(reserve_mib)s reserved"
    ),
    "placement.pool_off": N_("its storage pool is not active: start it there with virsh pool-start"),
    "placement.disk_unknown": N_("the free space of its storage pool is not known, which counts as full"),
    "placement.clone_limit": N_("has %(clones)s clones, its limit is %(limit)s"),
    # Why a clone cannot move there, or only while it is off
    "placement.move_same_node": N_("is where it already is"),
    "placement.move_former": N_("still has what a former move of it left there, which is being removed"),
    "placement.move_host_devices": N_("cannot have it: %(devices)s of its own host is passed through to it"),
    "placement.move_host_unknown": N_(
        "takes it only while it is off: the machine types and processors that it offers are not known yet"
    ),
    "placement.move_clone_unknown": N_("takes it only while it is off: its machine type is not known"),
    "placement.move_virtualization": N_(
        "takes it only while it is off: it runs with %(virtualization)s, this node has %(instead)s"
    ),
    "placement.move_machine": N_(
        "takes it only while it is off: it has the machine type %(machine)s, the newest here is %(newest)s"
    ),
    "placement.move_machine_brief": N_("takes it only while it is off: the machine type %(machine)s is not offered"),
    "placement.move_processor": N_(
        "takes it only while it is off: it has the processor model %(processor)s, which is not offered here"
    ),
    "placement.move_processor_of_host": N_(
        "takes it only while it is off: it has the processor of its own host passed through"
    ),
    "placement.move_firmware": N_(
        "takes it only while it is off: its UEFI variables are not beside its disks, but where its host keeps them"
    ),
    "placement.move_processor_unknown": N_("takes it only while it is off: its processor model is not known"),
    # Why a node is in no migration group with others
    "placement.apart_virtualization": N_("it has %(virtualization)s, the others have %(instead)s"),
    "placement.apart_machine": N_("it has no machine type in common with the others"),
    "placement.apart_processor": N_("it has no processor model in common with the others"),
    "placement.virtualization_kvm": N_("hardware virtualization (KVM)"),
    "placement.virtualization_qemu": N_("emulation"),
    "placement.instead_kvm": N_("hardware virtualization (KVM)"),
    "placement.instead_qemu": N_("emulation"),
    "placement.kept_for_loss": N_("its free memory is kept for the loss of %(lost_nodes)s"),
    "placement.lost_with_it": N_("no other node has memory left to make its desktops again if it is lost"),
    # Many nodes at once, without what is each one's own
    "placement.lacks_brief": N_("lacks what this base needs"),
    "placement.memory_brief": N_("needs %(need_mib)s of memory for each clone, and has less free"),
    "placement.memory_in_all_brief": N_("needs %(need_mib)s of memory for each clone, and has less in all"),
    "placement.processors_brief": N_("needs %(need)s virtual processors for each clone; its overcommit leaves fewer"),
    "placement.disk_brief": N_("needs %(need_mib)s of disk for each clone, and has less free"),
    "placement.clone_limit_brief": N_("has as many clones as its limit allows"),
    "placement.kept_for_loss_brief": N_("its free memory is kept for the loss of another node"),
    # The states in those
    "placement.wanted_new": N_("new"),
    "placement.wanted_draining": N_("draining"),
    "placement.wanted_maintenance": N_("in maintenance"),
    "placement.wanted_disabled": N_("not enabled"),
    "placement.observed_unknown": N_("not known to be up"),
    "placement.observed_degraded": N_("degraded"),
    "placement.observed_down": N_("down"),
    "placement.replica_wanted": N_("waiting to be copied"),
    "placement.replica_copying": N_("being copied"),
    "placement.replica_verifying": N_("being verified"),
    "placement.replica_failed": N_("failed"),
    "placement.replica_removing": N_("being removed"),
    # A request that did not fit
    "placement.shortage": Plural(
        "%(fits)s of the %(count)s clone fits, so none was created. Why not more: %(blocked_clauses)s.",
        "%(fits)s of the %(count)s clones fit, so none was created. Why not more: %(blocked_clauses)s.",
    ),
    "placement.no_nodes": Plural(
        "%(fits)s of the %(count)s clone fits, so none was created. There are no nodes yet.",
        "%(fits)s of the %(count)s clones fit, so none was created. There are no nodes yet.",
    ),
    "placement.blocked": N_("%(nodes)s: %(reason)s"),
}


class Reason(Protocol):
    """Placement's reason against a node."""

    @property
    def code(self) -> str:
        """Its kind, without the topic."""

    @property
    def figures(self) -> Mapping[str, Any]:
        """The figures in it."""


class Verdict(Protocol):
    """Placement's verdict on a node."""

    @property
    def node_name(self) -> str:
        """The name of the node."""

    @property
    def reason(self) -> Reason | None:
        """Why it takes no more; None where it could."""


def reason_message(reason: Reason) -> Message:
    """Why a node takes no clone, or no more, to follow the node's name."""
    return stored_reason({"code": reason.code, "figures": reason.figures})


def stored_reason(stored: Mapping[str, Any] | None) -> Message:
    """The same of a reason as a decision's row keeps it: rows of before with a finished text beside it, those of many
    nodes without what is each one's own."""
    if not stored:
        return NOTHING
    if stored.get("text"):
        return Message.from_json(stored["text"])
    figures = {name: _figure(name, value) for name, value in stored["figures"].items()}
    code = "not_up_because" if "why" in figures else stored["code"]
    text = TEXTS.get(f"placement.{code}")
    whole = isinstance(text, str) and all(name in figures for name in _FIGURE.findall(text))
    return message(f"placement.{code}{'' if whole else '_brief'}", **figures)


def _figure(name: str, value: Any) -> Any:
    """A figure of a reason: a state by the word for it, a message as that, needs by what is needed."""
    if name == "missing":
        return [need_message(kind, needed) for kind, needed in value]
    if isinstance(value, Mapping):
        return Message.from_json(value)
    return message(f"placement.{name}_{value}") if f"placement.{name}_{value}" in TEXTS else value


def shortage(requested: int, fits: int, verdicts: Sequence[Verdict]) -> Message:
    """How many of the requested clones fit, and what blocks the next one on each node; alike reasons are grouped."""
    groups = blocked(verdicts)
    if not groups:
        return message("placement.no_nodes", count=requested, fits=fits)
    return message("placement.shortage", count=requested, fits=fits, blocked_clauses=groups)


def blocked(verdicts: Sequence[Verdict]) -> list[Message]:
    """What blocks a clone on each node; alike reasons are grouped."""
    found: dict[Message, list[str]] = {}
    for verdict in verdicts:
        if verdict.reason is not None:
            found.setdefault(reason_message(verdict.reason), []).append(verdict.node_name)
    return [message("placement.blocked", nodes=nodes, reason=reason) for reason, nodes in found.items()]
