"""A node's pools as they are shown: beside the master's, with their marks, and when they will be full."""

from dataclasses import dataclass

from flask_babel import gettext as _
from sqlalchemy import select

from ravada_web.errors import NotFound
from ravada_web.extensions import db
from ravada_web.models import Level, Node, Pool
from ravada_web.services.storage import forecast, pools


@dataclass(frozen=True)
class PoolRow:
    """A pool with how near to full it is, the floor that holds for it (MiB), and the days until it is full."""

    pool: Pool
    level: Level
    floor_mib: int
    days: int | None


@dataclass(frozen=True)
class Pools:
    """A node's pools, and a sentence for each way in which they differ from the master's."""

    rows: list[PoolRow]
    differences: list[str]


def of_node(node: Node) -> Pools:
    """The node's pools, in three queries at most."""
    days = forecast.of_pools(node)
    rows = [
        PoolRow(pool, pools.level(pool), pools.floor_mib(pool), int(days[pool.id]) if pool.id in days else None)
        for pool in node.pools
    ]
    return Pools(rows, [] if node.is_master else _differences(node))


def _differences(node: Node) -> list[str]:
    master = db.session.scalar(select(Node).where(Node.is_master))
    own = {pool.name: pool for pool in node.pools}
    told = []
    for pool in master.pools if master is not None and node.facts_at is not None else []:
        here = own.get(pool.name)
        if here is None:
            told.append(_("The master's pool %(pool)s (%(path)s) is missing here.", pool=pool.name, path=pool.path))
        elif here.path != pool.path:
            told.append(
                _(
                    "Pool %(pool)s is at %(here)s here, and at %(there)s on the master.",
                    pool=pool.name,
                    here=here.path,
                    there=pool.path,
                )
            )
    return told


def get(node: Node, pool_id: int) -> Pool:
    """One of the node's pools. Raises NotFound."""
    found = next((pool for pool in node.pools if pool.id == pool_id), None)
    if found is None:
        raise NotFound(_("There is no such storage pool."))
    return found
