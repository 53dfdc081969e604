"""A node's joining: what its checks found."""

from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from ravada_web.models.types import Moment, Word


class Access(StrEnum):
    """What our login may do there: everything (root itself, or by sudo), or only what the libvirt group may."""

    NONE = ""
    ROOT = "root"
    SUDO = "sudo"
    LIBVIRT = "libvirt"


class Joining:
    """What our login may do, the findings of the last inspection, and the last verification that a guest runs there."""

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

    @property
    def allows_root(self) -> bool:
        """Whether our login may act as root there, as making disks and running remedies needs."""
        return self.access in (Access.ROOT, Access.SUDO)
