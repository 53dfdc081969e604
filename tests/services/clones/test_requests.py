"""Asking for clones: what is refused, what is written, and that requests at once never count on the same room."""

import threading
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from ravada_web.errors import InvalidInput, NotAllowed, QueueUnreachable
from ravada_web.extensions import db, queues
from ravada_web.models import AllowedNode, Clone, CloneNic, CloneState, Node, Observed, Operation, Trust, User
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.clones.errors import NoNodeAllowed, NoRoom
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.operations.outbox import queue
from ravada_web.services.placements import choice as placement_choice
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import change, make_base, make_nodes


def wanted(people: People, base_id: int, **changes: Any) -> Request:
    return Request(**{"base_id": base_id, "count": 12, "prefix": "desk", "owner": people.user.name, **changes})


def spread() -> dict[int, int]:
    return dict(Counter(db.session.scalars(select(Clone.node_id))))


def test_twelve_clones_land_four_on_each_of_three_nodes(people: People) -> None:
    nodes = make_nodes(3)
    request_clones(people.administrator, wanted(people, make_base(nodes)))
    assert spread() == dict.fromkeys(nodes, 4)


def test_each_clone_has_its_own_name_uuid_and_address(people: People) -> None:
    base = make_base(make_nodes(2), nics=2)
    for _time in range(2):
        request_clones(people.administrator, wanted(people, base, count=30))
    rows = db.session.scalars(select(Clone)).all()
    assert len({row.name for row in rows}) == len({row.uuid for row in rows}) == 60
    macs = db.session.scalars(select(CloneNic.mac)).all()
    assert len(macs) == len(set(macs)) == 120
    assert {row.name for row in rows} == {f"desk-{number}" for number in range(1, 61)}


def test_a_job_takes_at_most_a_batch_of_one_node(people: People) -> None:
    request_clones(people.administrator, wanted(people, make_base(make_nodes(2)), count=60))
    batches = db.session.execute(
        select(Clone.operation_id, func.count(), func.count(Clone.node_id.distinct())).group_by(Clone.operation_id)
    ).all()
    assert sorted(count for _id, count, _nodes in batches) == [5, 5, 25, 25]
    assert all(nodes == 1 for _id, _count, nodes in batches)


def test_the_jobs_are_queued_once_the_rows_are_committed(people: People) -> None:
    request_clones(people.administrator, wanted(people, make_base(make_nodes(3))))
    ids = db.session.scalars(select(Operation.id)).all()
    assert set(queue("batches").get_job_ids()) == {f"op-{operation_id}-1" for operation_id in ids}


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"service_state": "disabled"}, "not_enabled"),
        ({"observed": Observed.DOWN, "reason": "SSH does not answer."}, "not_up"),
        ({"observed": Observed.DEGRADED, "reason": "libvirt does not answer."}, "not_up"),
        ({"trust": Trust.CHANGED}, "quarantined"),
        ({"runs_clones": False}, "kept_free"),
        ({"clone_limit": 0}, "clone_limit"),
    ],
)
def test_a_node_that_must_not_be_used_gets_none(people: People, values: dict[str, object], code: str) -> None:
    nodes = make_nodes(3)
    base = make_base(nodes)
    change(Node, Node.id == nodes[1], **values)
    decision = request_clones(people.administrator, wanted(people, base))
    assert spread() == {nodes[0]: 6, nodes[2]: 6}
    assert placement_choice.explained(decision)["verdicts"][1]["reason"]["code"] == code


def test_a_node_that_is_not_ticked_gets_none_and_the_verdict_says_so(people: People) -> None:
    nodes = make_nodes(3)
    base = make_base(nodes)
    with transaction() as session:
        session.delete(session.get_one(AllowedNode, (base, nodes[2])))
    request_clones(people.administrator, wanted(people, base))
    clone = db.session.scalars(select(Clone)).first()
    assert clone is not None
    verdicts = clone_list.why(people.administrator, clone)["verdicts"]
    assert verdicts[2]["taken"] == 0 and verdicts[2]["reason"]["code"] == "not_allowed"
    assert spread() == {nodes[0]: 6, nodes[1]: 6}


def test_more_than_fit_creates_nothing_and_says_how_many_fit(people: People) -> None:
    base = make_base(make_nodes(2, memory_mib=2048), memory_mib=512)
    with pytest.raises(NoRoom, match=r"8 of the 9 clones fit.*512 MiB"):
        request_clones(people.administrator, wanted(people, base, count=9, start_after=True))
    assert db.session.scalar(select(func.count()).select_from(Clone)) == 0
    assert db.session.scalar(select(func.count()).select_from(Operation)) == 0


def test_no_node_ticked_points_to_the_base_tab(people: People) -> None:
    base = make_base(make_nodes(1))
    with transaction() as session:
        session.query(AllowedNode).delete()
    with pytest.raises(NoNodeAllowed, match="Nodes tab") as refused:
        request_clones(people.administrator, wanted(people, base))
    assert refused.value.base_id == base


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("count", 0),
        ("count", -3),
        ("count", 1001),
        ("prefix", ""),
        ("prefix", "Upper"),
        ("prefix", "-dash"),
        ("prefix", "dash-"),
        ("prefix", "../etc"),
        ("prefix", "<b>"),
        ("prefix", "a" * 41),
        ("base_id", 999),
        ("owner", "nobody"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_written(people: People, field: str, value: object) -> None:
    base = make_base(make_nodes(1))
    with pytest.raises(InvalidInput) as refused:
        request_clones(people.administrator, replace(wanted(people, base), **{field: value}))
    assert list(refused.value.fields) == [field]
    assert db.session.scalar(select(func.count()).select_from(Clone)) == 0


def test_users_may_not_ask_for_clones(people: People) -> None:
    base = make_base(make_nodes(1))
    with pytest.raises(NotAllowed):
        request_clones(people.user, wanted(people, base))


def test_without_redis_nothing_is_written(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    base = make_base(make_nodes(1))
    monkeypatch.setattr(queues, "_patient", queues.redis.from_url("unix:///nowhere.sock"))
    with pytest.raises(QueueUnreachable, match="temporarily unavailable"):
        request_clones(people.administrator, wanted(people, base))
    assert db.session.scalar(select(func.count()).select_from(Clone)) == 0


def test_forty_clones_by_eight_requests_at_once_are_even_and_within_memory(app: Flask, people: People) -> None:
    nodes = make_nodes(3, memory_mib=14 * 512)
    base = make_base(nodes, memory_mib=512)
    administrator, owner = people.administrator.id, people.user.name
    errors: list[BaseException] = []
    barrier = threading.Barrier(8)

    def ask(number: int) -> None:
        with app.app_context():
            try:
                actor = db.session.get_one(User, administrator)
                barrier.wait()
                request_clones(actor, Request(base, 5, f"class{number}", owner, start_after=True))
            except BaseException as error:  # noqa: BLE001  reported by the test
                errors.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    db.session.rollback()
    counts = spread()
    assert sum(counts.values()) == 40
    assert max(counts.values()) - min(counts.values()) <= 1
    assert max(counts.values()) * 512 <= 14 * 512


def test_a_start_is_refused_with_the_figures_when_memory_is_short(people: People) -> None:
    base = make_base(make_nodes(1, memory_mib=1024), memory_mib=512)
    request_clones(people.administrator, wanted(people, base, count=3))
    with transaction() as session:
        session.execute(update(Clone).values(state=CloneState.STOPPED))
    ids = db.session.scalars(select(Clone.id)).all()
    clone_actions.start(people.administrator, ids[:1])
    outcome = clone_actions.start(people.administrator, ids[1:])
    assert "512 MiB needed, 0 B free" in str(outcome.summary())
    assert db.session.scalars(select(Clone.state).order_by(Clone.id)).all() == ["starting", "starting", "stopped"]
