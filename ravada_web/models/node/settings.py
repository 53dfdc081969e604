"""A node's settings: what its administrator has set."""

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from ravada_web.models.types import Sentence, Size


class NodeSettings:
    """Memory in MiB. An overcommit is how many times of what is there may be promised to clones that run; None for
    processors is without bound."""

    clone_limit: Mapped[int | None]
    memory_reserve_mib: Mapped[Size] = mapped_column(default=512)
    cpu_overcommit: Mapped[float | None]
    memory_overcommit: Mapped[float] = mapped_column(default=1.0)
    builds_at_once: Mapped[int] = mapped_column(default=2)
    # What all that moves from and to it may take of the network, MiB a second; 0 is no limit, None as the setting says.
    move_mib_per_second: Mapped[int | None]
    # The address for viewer files; "" offers none.
    display_address: Mapped[str] = mapped_column(String(255), default="")
    # The address in viewer files instead, where the display address is behind NAT.
    nat_address: Mapped[str] = mapped_column(String(255), default="")
    # Of the card that wakes the host up.
    mac: Mapped[str] = mapped_column(String(17), default="")
    notes: Mapped[Sentence]
    labels: Mapped[list[str]] = mapped_column(JSON, default=list)
