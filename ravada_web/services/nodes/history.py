"""The history of nodes and pools: written with each check, thinned out as it ages, read for charts.

A sample is the average over a step of time. The checks write the finest step; `thin` makes the coarser ones of it.
"""

import itertools
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, func, insert, select, true, tuple_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import InstrumentedAttribute, Session

from ravada_web.errors import NotFound
from ravada_web.extensions import db
from ravada_web.messages import message
from ravada_web.models import Node, NodeSample, Pool, PoolSample
from ravada_web.models import now as this_moment
from ravada_web.services.batches import batched
from ravada_web.services.transaction import transaction

# Seconds of a step: a chart of each span has 240 to 370 points. And for how long samples of it are kept, beside those
# of the coarsest, which go to the archive (services.retention).
STEPS = (15, 300, 1800, 7200)
KEPT: Mapping[int, timedelta] = {
    15: timedelta(hours=1, minutes=10),
    300: timedelta(days=1, hours=1),
    1800: timedelta(days=8),
}
SPANS: Mapping[str, tuple[int, timedelta]] = {
    "hour": (15, timedelta(hours=1)),
    "day": (300, timedelta(days=1)),
    "week": (1800, timedelta(days=7)),
    "month": (7200, timedelta(days=31)),
}
_NODE_FIGURES = ("cpu_load", "memory_used", "ssh_ms", "libvirt_ms")
_POOL_FIGURES = ("used_mib", "total_mib")
# Rows a statement, so that no database's bound on parameters is met, and nobody waits for the write lock.
LOT = 500
# So long a round of thinning deletes; what is left then goes in the next.
THIN_SECONDS = 5.0


def bucket(moment: datetime, step: int) -> datetime:
    """The beginning of the step that a moment falls into."""
    return datetime.fromtimestamp(moment.timestamp() // step * step, UTC)


def record(session: Session, nodes: Collection[Node]) -> None:
    """Add what a check has just seen of these nodes to their present step, in the present transaction."""
    lines = [line for node in nodes if node.figures_at == node.checked_at and (line := _node_line(node))]
    _upsert(session, NodeSample, lines, _NODE_FIGURES)
    pools = [line for node in nodes for pool in node.pools if pool.sampled_at == node.checked_at
             if (line := _pool_line(pool))]  # fmt: skip
    _upsert(session, PoolSample, pools, _POOL_FIGURES)


def _node_line(node: Node) -> dict[str, Any] | None:
    if node.checked_at is None or not node.memory_total_mib or node.memory_free_mib is None:
        return None
    return {
        "node_id": node.id,
        "step": STEPS[0],
        "at": bucket(node.checked_at, STEPS[0]),
        "count": 1,
        "cpu_load": node.cpu_load,
        "memory_used": 1 - node.memory_free_mib / node.memory_total_mib,
        "ssh_ms": node.ssh_ms,
        "libvirt_ms": node.libvirt_ms,
    }


def _pool_line(pool: Pool) -> dict[str, Any] | None:
    if pool.sampled_at is None or pool.free_mib is None or pool.total_mib is None:
        return None
    at = bucket(pool.sampled_at, STEPS[0])
    used = pool.total_mib - pool.free_mib
    return {"pool_id": pool.id, "step": STEPS[0], "at": at, "count": 1, "used_mib": used, "total_mib": pool.total_mib}


def _upsert(session: Session, table: type[Any], lines: Sequence[dict[str, Any]], figures: Sequence[str]) -> None:
    """Insert the lines; where the step has one already, make it the running average of both."""
    make = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    keys = [column.name for column in table.__table__.primary_key]
    for lot in batched(lines, LOT):
        statement = make(table).values(lot)
        new = {name: _average(getattr(table, name), statement.excluded[name], table.count) for name in figures}
        updates = new | {"count": table.count + 1}
        session.execute(statement.on_conflict_do_update(index_elements=keys, set_=updates))


def _average(old: InstrumentedAttribute[Any], new: ColumnElement[Any], count: ColumnElement[int]) -> ColumnElement[Any]:
    running = (old * count + new) / (count + 1)
    return func.coalesce(running, new, old)


def thin() -> None:
    """Make each coarser step of the finer one, again for what may have changed, and delete what is too old: as much as
    there is time for, some rows a transaction."""
    moment, end = this_moment(), time.monotonic() + THIN_SECONDS
    for table, figures in ((NodeSample, _NODE_FIGURES), (PoolSample, _POOL_FIGURES)):
        for finer, coarser in itertools.pairwise(STEPS):
            # Two steps back: the one that is under way, and the one that ended since the last thinning.
            _roll_up(table, figures, finer, coarser, bucket(moment, coarser) - timedelta(seconds=coarser))
        for step, age in KEPT.items():
            _forget(table, step, moment - age, end)


def _forget(table: type[Any], step: int, before: datetime, end: float) -> None:
    keys = tuple(table.__table__.primary_key)
    query = select(*keys).where(table.step == step, table.at < before).limit(LOT)
    gone = LOT
    while gone == LOT and time.monotonic() < end:
        with transaction() as session:
            rows = [tuple(row) for row in session.execute(query)]
            session.execute(delete(table).where(tuple_(*keys).in_(rows)))
        gone = len(rows)


def _roll_up(table: type[Any], figures: Sequence[str], finer: int, coarser: int, since: datetime) -> None:
    owner = next(column for column in table.__table__.primary_key if column.name.endswith("_id"))
    for number in (0, 1):
        start = since + timedelta(seconds=coarser * number)
        within = (table.step == finer, table.at >= start, table.at < start + timedelta(seconds=coarser))
        shares = [
            func.sum(getattr(table, name) * table.count)
            / func.nullif(func.sum(table.count).filter(getattr(table, name).is_not(None)), 0)
            for name in figures
        ]
        rows = select(owner, *shares, func.sum(table.count)).where(*within).group_by(owner)
        with transaction() as session:
            samples = session.execute(rows).all()
            if not samples:
                continue
            session.execute(delete(table).where(table.step == coarser, table.at == start))
            names = (owner.name, *figures, "count")
            lines = [dict(zip(names, row, strict=True)) | {"step": coarser, "at": start} for row in samples]
            session.execute(insert(table), lines)


@dataclass(frozen=True)
class History:
    """A node's samples over a span, oldest first: `node` rows of (seconds since the epoch, CPU and memory as shares,
    SSH and libvirt in ms), `pools` by name rows of (seconds, share in use). `step` is their distance in seconds;
    the span is from `since` to `until`."""

    step: int
    since: float
    until: float
    node: list[tuple[float, float | None, float | None, float | None, float | None]]
    pools: dict[str, list[tuple[float, float]]]


def history(node: Node, span: str) -> History:
    """The samples of one of SPANS, at its end those of finer steps that are in no coarser one yet.

    Raises NotFound for another span.
    """
    if span not in SPANS:
        raise NotFound(message("nodes.no_such_span"))
    step, length = SPANS[span]
    until = this_moment()
    since = until - length
    own = select(NodeSample.at, *(getattr(NodeSample, name) for name in _NODE_FIGURES))
    rows = _through(own.where(NodeSample.node_id == node.id), NodeSample, step, since)
    names = {pool.id: pool.name for pool in node.pools}
    of_pools = select(PoolSample.at, PoolSample.pool_id, PoolSample.used_mib, PoolSample.total_mib)
    pools: dict[str, list[tuple[float, float]]] = {name: [] for name in names.values()}
    for at, pool_id, used, total in _through(of_pools.where(PoolSample.pool_id.in_(names)), PoolSample, step, since):
        pools[names[pool_id]].append((at.timestamp(), used / total if total else 0.0))
    figures = [(at.timestamp(), cpu, memory, ssh, libvirt) for at, cpu, memory, ssh, libvirt in rows]
    return History(step, since.timestamp(), until.timestamp(), figures, pools)


def _through(query: Select[*tuple[Any, ...]], table: type[Any], step: int, since: datetime) -> list[Any]:
    """The rows of a step since then, and from where they end those of the finer ones."""
    rows: list[Any] = []
    for each in reversed(STEPS[: STEPS.index(step) + 1]):
        # A coarser step that is under way has a row too, at its beginning: what it is made of says more.
        whole = table.at < bucket(this_moment(), each) if each > STEPS[0] else true()
        own = query.where(table.step == each, table.at >= since, whole)
        samples = db.session.execute(own.order_by(table.at)).all()
        rows += samples
        if samples:
            since = samples[-1].at + timedelta(seconds=each)
    return rows


@dataclass(frozen=True)
class Range:
    """One figure over a span: of a pool by its name, or of the node; `unit` is "share" (0 to 1) or "ms"."""

    name: str
    unit: str
    least: float
    average: float
    most: float


def ranges(history: History) -> list[Range]:
    """What the charts show, in figures."""
    answer: list[Range] = []
    for index, name in enumerate(_NODE_FIGURES, 1):
        unit = "ms" if name.endswith("_ms") else "share"
        answer += _range(name, unit, [row[index] for row in history.node])
    for name, rows in history.pools.items():
        answer += _range(name, "share", [share for _at, share in rows])
    return answer


def _range(name: str, unit: str, values: Sequence[float | None]) -> list[Range]:
    known = [value for value in values if value is not None]
    return [Range(name, unit, min(known), sum(known) / len(known), max(known))] if known else []
