"""A node's joining: what its checks found."""

from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ravada_web.models.types import Moment, Word


class Access(StrEnum):
    """What our login may do there: everything (root itself, or by sudo), or only what the libvirt group may."""

    NONE = ""
    ROOT = "root"
    SUDO = "sudo"
    LIBVIRT = "libvirt"


class Joining:
    """What our login may do, the findings of the last inspection, and the last verification that a guest runs there.

    A host that shows another key than the accepted one is a newcomer: once a person has accepted its key
    (`new_host_key`), it is looked at under that, and `newcomer` says what it is (services/joining/identification.py);
    until it is known to be the node, or takes its place, the node stays quarantined under its former key.
    """

    access: Mapped[Word] = mapped_column(default=Access.ROOT)
    # Our own address as the node sees it.
    source_address: Mapped[str] = mapped_column(String(64), default="")
    machine_id: Mapped[str] = mapped_column(String(32), default="")
    # What the host reports now, where that is another one: under the accepted host key, and not accepted itself.
    other_machine_id: Mapped[str] = mapped_column(String(32), default="")
    findings: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list, deferred=True)
    inspected_at: Mapped[Moment | None]
    proof: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list, deferred=True)
    proved_at: Mapped[Moment | None]

    new_host_key: Mapped[str] = mapped_column(Text, default="")
    newcomer: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    # The hosts that were the node before: [{"host_key", "machine_id"}], in the order in which others took their place.
    former_hosts: Mapped[list[dict[str, str]]] = mapped_column(JSON, default=list, deferred=True)
    # The service state of one that took a node's place, once its test has passed; "" is enabled.
    serves_as: Mapped[Word] = mapped_column(default="")

    def forget_newcomer(self) -> None:
        """No host but the node's own is looked at any more."""
        self.new_host_key, self.newcomer = "", {}

    @property
    def allows_root(self) -> bool:
        """Whether our login may act as root there, as making disks and running remedies needs."""
        return self.access in (Access.ROOT, Access.SUDO)
