"""The disk of the data folder, watched like a pool: where it is full, nothing can be written any more."""

import os
from dataclasses import dataclass

from ravada_web.config import Settings
from ravada_web.models import Level, Pool

# A new pool's marks.
WARN_PERCENT, CRITICAL_PERCENT = (Pool.__table__.c[name].default.arg for name in ("warn_percent", "critical_percent"))


@dataclass(frozen=True)
class Disk:
    """A disk's size and free space in MiB, and below which free space it is critical whatever its size."""

    total_mib: int
    free_mib: int
    floor_mib: int

    @property
    def used_percent(self) -> int:
        """How full it is."""
        return round(100 * (1 - self.free_mib / self.total_mib)) if self.total_mib else 100

    @property
    def level(self) -> Level:
        """How near to full it is, by the marks of a new pool and its floor."""
        if self.used_percent >= CRITICAL_PERCENT or self.free_mib <= self.floor_mib:
            return Level.CRITICAL
        return Level.WARNING if self.used_percent >= WARN_PERCENT else Level.OK


def read(settings: Settings) -> Disk:
    """The data folder's disk as it is now; what is kept for root is not free. Raises OSError."""
    disk = os.statvfs(settings.data)
    # As `df` counts: of what may be used.
    usable = disk.f_blocks - disk.f_bfree + disk.f_bavail
    return Disk(usable * disk.f_frsize >> 20, disk.f_bavail * disk.f_frsize >> 20, settings.disk_reserve_mib)
