"""Samples over time: averages within a step, coarser steps of finer ones, and nothing kept for ever."""

from datetime import datetime, timedelta

from flask import Flask
from sqlalchemy import func, select

from ravada_web.extensions import db
from ravada_web.models import Node, NodeSample, Pool, PoolSample, now
from ravada_web.services.nodes import history as node_history
from ravada_web.services.nodes.history import KEPT, bucket
from ravada_web.services.transaction import transaction
from tests.support.factories import make_nodes


def seen(node_id: int, at: datetime, cpu: float | None, used_mib: int = 600) -> None:
    """A check at that moment."""
    with transaction() as session:
        node = session.get_one(Node, node_id)
        node.checked_at = node.figures_at = at
        node.cpu_load, node.memory_total_mib, node.memory_free_mib = cpu, 1000, 250
        node.ssh_ms, node.libvirt_ms = 12.0, None
        for pool in node.pools:
            pool.total_mib, pool.free_mib, pool.sampled_at = 1000, 1000 - used_mib, at
        session.flush()
        node_history.record(session, [node])


def test_checks_within_a_step_are_one_average(migrated_app: Flask) -> None:
    (node_id,) = make_nodes(1)
    at = bucket(now(), 15)
    for second, cpu in ((0, 0.2), (5, 0.4), (10, None)):
        seen(node_id, at + timedelta(seconds=second), cpu, used_mib=600 + second)
    db.session.rollback()
    (row,) = db.session.scalars(select(NodeSample))
    assert (row.count, round(row.memory_used, 3), row.ssh_ms, row.libvirt_ms) == (3, 0.75, 12.0, None)
    assert round(row.cpu_load, 3) == 0.3
    assert db.session.scalar(select(PoolSample.used_mib)) == 605


def test_a_node_that_did_not_answer_leaves_a_gap(app: Flask) -> None:
    (node_id,) = make_nodes(1)
    with transaction() as session:
        node = session.get_one(Node, node_id)
        node.checked_at = now()
        node_history.record(session, [node])
    assert db.session.scalar(select(func.count()).select_from(NodeSample)) == 0


def test_thinning_makes_averages_of_averages_and_can_be_repeated(migrated_app: Flask) -> None:
    (node_id,) = make_nodes(1)
    start = bucket(now(), 300)
    with transaction() as session:
        pool = session.scalar(select(Pool).where(Pool.node_id == node_id))
        assert pool is not None
        for second, count, cpu in ((0, 1, 0.9), (15, 3, 0.1)):
            at = start + timedelta(seconds=second)
            session.add(NodeSample(node_id=node_id, step=15, at=at, count=count, cpu_load=cpu, memory_used=0.5))
            session.add(PoolSample(pool_id=pool.id, step=15, at=at, count=count, used_mib=100, total_mib=200))
    node_history.thin()
    node_history.thin()
    coarse = db.session.scalars(select(NodeSample).where(NodeSample.step == 300)).all()
    assert [(row.count, round(row.cpu_load or 0, 3), row.ssh_ms) for row in coarse] == [(4, 0.3, None)]
    assert db.session.scalars(select(PoolSample.used_mib).where(PoolSample.step == 7200)).all() == [100]


def test_what_is_too_old_for_its_step_goes(app: Flask) -> None:
    (node_id,) = make_nodes(1)
    with transaction() as session:
        for step in KEPT:
            for age in (KEPT[step] + timedelta(hours=3), KEPT[step] - timedelta(seconds=2 * step)):
                session.add(NodeSample(node_id=node_id, step=step, at=bucket(now() - age, step), cpu_load=0.5))
    node_history.thin()
    kept = db.session.execute(select(NodeSample.step, func.count()).group_by(NodeSample.step)).all()
    assert dict(kept) == dict.fromkeys(KEPT, 1)


def test_a_span_is_read_with_its_pools(app: Flask) -> None:
    (node_id,) = make_nodes(1)
    seen(node_id, now(), 0.25, used_mib=400)
    found = node_history.history(db.session.get_one(Node, node_id), "hour")
    assert found.step == 15
    assert [figures[1:3] for figures in found.node] == [(0.25, 0.75)]
    assert [share for rows in found.pools.values() for _at, share in rows] == [0.4]


def test_what_is_in_no_coarser_step_yet_is_read_of_the_finer_ones(app: Flask) -> None:
    (node_id,) = make_nodes(1)
    start = bucket(now(), 300)
    with transaction() as session:
        for step, ago, cpu in ((300, 3600, 0.1), (300, 900, 0.2), (15, 885, 0.9), (15, 60, 0.3), (15, 30, 0.4)):
            at = start - timedelta(seconds=ago)
            session.add(NodeSample(node_id=node_id, step=step, at=at, cpu_load=cpu))
    node = db.session.get_one(Node, node_id)
    assert [figures[1] for figures in node_history.history(node, "day").node] == [0.1, 0.2, 0.3, 0.4]
    assert [figures[1] for figures in node_history.history(node, "month").node] == [0.1, 0.2, 0.3, 0.4]
