"""What stands still now, as every page says it: of the processes of this host, of Redis, and of the nodes' checks."""

from sqlalchemy import func, select

from ravada_web import beats
from ravada_web.config import settings
from ravada_web.extensions import db
from ravada_web.models import Access, Node
from ravada_web.models.node.health import believed_since
from ravada_web.services.operations import outbox
from ravada_web.services.storage import data_disk
from ravada_web.services.storage.data_disk import Disk

REDIS, CHECKS = "redis", "node checks"


def parts(with_checks: bool = True) -> list[str]:
    """The names of what stands still now: processes as `ps` and the page of workers name them, "redis", and, where the
    database may be asked, "node checks"."""
    still = [process.name for process in beats.processes() if process.still]
    if REDIS not in still and not outbox.queue_reachable():
        still.append(REDIS)
    return still or ([CHECKS] if with_checks and _checks_overdue() else [])


def _checks_overdue() -> bool:
    """Whether no node at all was checked for so long that no state is known any more."""
    last = db.session.scalar(select(func.max(Node.checked_at)).where(Node.access != Access.NONE))
    return last is not None and last < believed_since()


def disk() -> Disk:
    """The disk of the data folder."""
    return data_disk.read(settings())
