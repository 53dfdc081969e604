"""A node's pools as they are shown: beside the master's, with their marks, and when they will be full."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from ravada_web.errors import NotFound
from ravada_web.extensions import db
from ravada_web.messages import Message, message
from ravada_web.models import Base, Clone, Level, Node, Pool, User
from ravada_web.services.permissions import scopes
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
    """A node's pools, and a message for each way in which they differ from the master's."""

    rows: list[PoolRow]
    differences: list[Message]


def of_node(node: Node) -> Pools:
    """The node's pools, in three queries at most."""
    days = forecast.of_pools(node)
    rows = [
        PoolRow(pool, pools.level(pool), pools.floor_mib(pool), int(days[pool.id]) if pool.id in days else None)
        for pool in node.pools
    ]
    return Pools(rows, [] if node.is_master else _differences(node))


def biggest_files(viewer: User, node: Node) -> Mapping[int, Sequence[Mapping[str, Any]]]:
    """The biggest files of each of the node's pools, by its id; in a scope those of clones and bases in it alone."""
    files = {pool.id: (pool.usage or {}).get("biggest", []) for pool in node.pools}
    if scopes.of(viewer) is None:
        return files
    known = {
        "clone": set(db.session.scalars(select(Clone.id).where(scopes.clones(viewer, "clones.see_all")))),
        "base": set(db.session.scalars(select(Base.id).where(scopes.bases(viewer)))),
    }
    return {id_: [line for line in lines if line["id"] in known.get(line["kind"], ())] for id_, lines in files.items()}


def _differences(node: Node) -> list[Message]:
    master = db.session.scalar(select(Node).where(Node.is_master))
    own = {pool.name: pool for pool in node.pools}
    differences = []
    for pool in master.pools if master is not None and node.facts_at is not None else []:
        here = own.get(pool.name)
        if here is None:
            differences.append(message("storage.pool_missing", pool=pool.name, path=pool.path))
        elif here.path != pool.path:
            differences.append(message("storage.pool_elsewhere", pool=pool.name, here=here.path, there=pool.path))
    return differences


def get(node: Node, pool_id: int) -> Pool:
    """One of the node's pools. Raises NotFound."""
    pool = next((pool for pool in node.pools if pool.id == pool_id), None)
    if pool is None:
        raise NotFound(message("storage.no_such_pool"))
    return pool
