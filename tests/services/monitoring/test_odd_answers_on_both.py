"""Odd answers on both kinds of database: what neither can store, and what only one of them refuses."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from ravada_web.extensions import db
from ravada_web.hypervisor.facts import PoolFacts
from ravada_web.hypervisor.health import DomainState, NodeHealth
from ravada_web.messages import text
from ravada_web.models import Event, Node, Observed, Pool
from ravada_web.remote.sampling import Sample
from ravada_web.services.monitoring import alerts
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.recording import record
from tests.support.factories import FACTS, POOL, make_nodes

FINE = Sample(0.5, 16384, 9000, {}, 0.0)
SEEN_POOL = PoolFacts("default", POOL, True, 1000, 500)
TAKEN = {
    "a domain's name of half characters": {"health": NodeHealth({"u": DomainState("a\ud800\0b", "stopped")})},
    "the longest name that a pool may have": {"facts": replace(FACTS, pools=(replace(SEEN_POOL, name="x" * 250),))},
    "a pool as large as network file systems claim": {
        "facts": replace(FACTS, pools=(replace(SEEN_POOL, capacity_mib=(1 << 31) - 1, free_mib=(1 << 31) - 1),))
    },
    "a pool of 2 PiB, and one of 8 EiB": {
        "facts": replace(
            FACTS,
            pools=(
                replace(SEEN_POOL, capacity_mib=1 << 31, free_mib=1 << 31),
                replace(SEEN_POOL, name="net", path="/net", capacity_mib=(1 << 43) - 1, free_mib=(1 << 43) - 1),
            ),
        ),
        "sample": replace(FINE, disks={POOL: (1 << 51, 1 << 51), "/net": ((1 << 63) - 1, (1 << 63) - 1)}),
    },
    "memory of 4 PiB": {"sample": replace(FINE, memory_total_mib=1 << 32, memory_available_mib=1 << 32)},
    "a folder with a no-break space": {"facts": replace(FACTS, pools=(replace(SEEN_POOL, path="/iso\u00a0files"),))},
}
REFUSED = {
    "a NUL in a path": {"facts": replace(FACTS, pools=(replace(SEEN_POOL, path="/a\0b", name="a\ud800"),))},
    "half characters in a reason": {"reason": text("a \ud800"), "observed": Observed.DOWN},
    "memory past all bounds": {"sample": replace(FINE, memory_total_mib=1 << 80)},
    "a size past all bounds": {"sample": replace(FINE, disks={POOL: (1 << 90, 1 << 90)})},
    "two pools of one name": {"facts": replace(FACTS, pools=(SEEN_POOL, replace(SEEN_POOL, path="/b")))},
}


def states(odd: dict[str, object]) -> list[tuple[str, str]]:
    first, strange, last = make_nodes(3)
    answers = [Answer(number, Observed.UP, round=1, sample=FINE) for number in (first, last)]
    record([answers[0], replace(Answer(strange, Observed.UP, round=1), **odd), answers[1]])  # type: ignore[arg-type]
    db.session.rollback()
    rows = {row.id: (row.observed, row.reason.kind) for row in db.session.scalars(select(Node))}
    return [rows[number] for number in (first, strange, last)]


@pytest.mark.parametrize("odd", TAKEN)
def test_what_a_node_says_is_kept(migrated_app: Flask, odd: str) -> None:
    assert states(TAKEN[odd]) == [("up", "")] * 3


@pytest.mark.parametrize("odd", REFUSED)
def test_what_cannot_be_stored_is_its_own_nodes_state_with_an_event(migrated_app: Flask, odd: str) -> None:
    first, strange, last = states(REFUSED[odd])
    assert (first, last) == (("up", ""), ("up", ""))
    assert strange == ("degraded", "nodes.unstorable")
    assert db.session.scalars(select(Event.action)).all().count("observed") == 1


def test_a_pool_of_two_pib_is_kept_as_large_as_it_is(migrated_app: Flask) -> None:
    assert states(TAKEN["a pool of 2 PiB, and one of 8 EiB"])[1] == ("up", "")
    assert {1 << 31, (1 << 43) - 1} <= {*db.session.scalars(select(Pool.total_mib))}


def test_a_row_that_cannot_be_written_as_usual_is_marked_once(
    migrated_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = make_nodes(3)
    real = alerts.update

    def update(session: Session, nodes: Collection[Node], moment: datetime) -> None:
        if ids[1] in [node.id for node in nodes]:
            raise ValueError("a row from long ago")
        real(session, nodes, moment)

    monkeypatch.setattr(alerts, "update", update)
    for number_of_round in (1, 2):
        record([Answer(number, Observed.UP, round=number_of_round, sample=FINE) for number in ids])
        db.session.rollback()
        rows = {row.id: (row.observed, row.reason.kind) for row in db.session.scalars(select(Node))}
        assert [rows[number] for number in ids] == [("up", ""), ("degraded", "nodes.unstorable"), ("up", "")]
    assert db.session.scalars(select(Event.action)).all().count("observed") == 1
