"""A node's figures: what was read and measured of the host."""

from typing import Any

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from ravada_web.models.types import Moment, Size


class Figures:
    """Memory in MiB; `cpu_load` from 0 to 1 of all cores. `facts` are libvirt's, as read at `facts_at`.

    `facts_round` and `figures_round` are the rounds of checks that read them last.
    """

    facts: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    facts_at: Mapped[Moment | None]
    facts_round: Mapped[int] = mapped_column(default=0)
    # What of the facts decides where guests that run can go; hosts of one digest are alike in it. "" until it was read.
    platform: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict, deferred=True)
    platform_digest: Mapped[str] = mapped_column(String(64), default="")
    cpus: Mapped[int | None]
    cpu_load: Mapped[float | None]
    memory_total_mib: Mapped[Size | None]
    memory_free_mib: Mapped[Size | None]
    figures_at: Mapped[Moment | None]
    figures_round: Mapped[int] = mapped_column(default=0)
    # Domains on the node that are none of ours: what a base can be imported from.
    other_domains: Mapped[list[str]] = mapped_column(JSON, default=list)
    # And those of them that run.
    other_running: Mapped[list[str]] = mapped_column(JSON, default=list)
