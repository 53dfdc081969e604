"""When a pool will be full, from what it was like: a straight line through its use (least squares)."""

from collections.abc import Sequence

from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import Node, PoolSample, now
from ravada_web.services.nodes.history import STEPS

DAY = 86400.0
# A shorter history cannot predict days, and more than a year ahead does not matter.
LEAST_SECONDS, MOST_DAYS = DAY / 4, 365
HISTORY_DAYS = 14


def days_to_full(points: Sequence[tuple[float, float]], total_mib: float) -> float | None:
    """Days until use reaches `total_mib`, from (seconds, MiB used) in order of time.

    None without six hours of history, without growth, or where the growth is no more than the scatter around the line.
    """
    if len(points) < 3 or points[-1][0] - points[0][0] < LEAST_SECONDS:
        return None
    count = len(points)
    mean_at = sum(at for at, _used in points) / count
    mean_used = sum(used for _at, used in points) / count
    spread = sum((at - mean_at) ** 2 for at, _used in points)
    slope = sum((at - mean_at) * (used - mean_used) for at, used in points) / spread
    scatter = (sum((used - mean_used - slope * (at - mean_at)) ** 2 for at, used in points) / count) ** 0.5
    last_at = points[-1][0]
    if slope * (last_at - points[0][0]) <= 2 * scatter or slope <= 0:
        return None
    days = (total_mib - (mean_used + slope * (last_at - mean_at))) / slope / DAY
    return max(0.0, days) if days <= MOST_DAYS else None


def of_pools(node: Node) -> dict[int, float]:
    """Days until each of the node's pools is full, by its id; those that are not filling up are left out."""
    since = now().timestamp() - HISTORY_DAYS * DAY
    query = select(PoolSample.pool_id, PoolSample.at, PoolSample.used_mib).where(
        PoolSample.pool_id.in_([pool.id for pool in node.pools]), PoolSample.step == STEPS[2]
    )
    points: dict[int, list[tuple[float, float]]] = {}
    for pool_id, at, used in db.session.execute(query.order_by(PoolSample.at)):
        if at.timestamp() >= since:
            points.setdefault(pool_id, []).append((at.timestamp(), used))
    by_pool = {pool.id: days_to_full(points.get(pool.id, []), pool.total_mib or 0) for pool in node.pools}
    return {pool_id: days for pool_id, days in by_pool.items() if days is not None}
