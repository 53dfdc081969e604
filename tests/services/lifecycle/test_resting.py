"""The schedule of resting nodes: what is set, what it says of now, and a week of samples replayed."""

from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import insert, select

from ravada_web.config import settings
from ravada_web.errors import InvalidInput, NotAllowed
from ravada_web.extensions import db
from ravada_web.models import Access, Event, Node, NodeSample, Role, ServiceState, now
from ravada_web.services.lifecycle import resting
from ravada_web.services.lifecycle.resting import COARSE_STEP, STEP, Wishes, hour_of
from ravada_web.services.nodes import nics
from ravada_web.services.nodes.history import bucket
from ravada_web.services.placements import reserve
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import change, make_nodes, make_user


@pytest.fixture
def nodes(people: People, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Four alike ones, of 200 W, which can be woken; the first is this server's own."""
    monkeypatch.setattr(settings(), "wake_command", "/bin/true")
    found = make_nodes(4)
    change(Node, Node.id == found[0], local=True)
    resting.save(people.administrator, wishes(found[1:]))
    return found


def wishes(nodes: list[int], **changes: object) -> Wishes:
    usual = Wishes(25, 2, 0, 0, True, frozenset(nodes), dict.fromkeys(nodes, 200))
    return Wishes(**{**vars(usual), **changes})  # type: ignore[arg-type]


def busy_by_day(at: datetime) -> float:
    """The share of memory in use: much on workdays by day, next to nothing else."""
    hour = hour_of(at)
    return 0.6 if hour < 120 and 8 <= hour % 24 < 18 else 0.05


def write_samples(nodes: list[int], step: int, since: datetime, until: datetime) -> None:
    at, rows = bucket(since, step) + timedelta(seconds=step), []
    while at < until:
        share = busy_by_day(at)
        rows += [{"node_id": id_, "step": step, "at": at, "count": 1, "cpu_load": share, "memory_used": share,
                  "ssh_ms": 1.0, "libvirt_ms": 1.0} for id_ in nodes]  # fmt: skip
        at += timedelta(seconds=step)
    with transaction() as session:
        session.execute(insert(NodeSample), rows)


def test_who_may_not_and_what_is_no_rule_is_refused(people: People, nodes: list[int]) -> None:
    with pytest.raises(NotAllowed):
        resting.look(people.operator)
    with pytest.raises(NotAllowed):
        resting.save(people.operator, wishes(nodes[1:]))
    wrong = wishes(nodes, free_percent=91, settle_hours=0, from_hour=24, until_hour=-1, watts={nodes[1]: -1})
    with pytest.raises(InvalidInput) as caught:
        resting.save(people.administrator, wrong)
    assert {*caught.value.fields} == {"free_percent", "settle_hours", "from_hour", "until_hour", "watts", "nodes"}
    policy = reserve.policy()
    assert (policy.rest_free_percent, policy.rest_settle_hours) == (25, 2), "nothing was changed"
    assert "set_schedule" in db.session.scalars(select(Event.action)).all()


@pytest.mark.parametrize(
    ("first", "last", "weekends", "hours"),
    [(0, 0, False, 168), (19, 7, False, 84), (19, 7, True, 5 * 12 + 48), (7, 19, False, 84), (5, 5, True, 168)],
)
def test_the_hours_in_which_nodes_may_rest(
    people: People, nodes: list[int], first: int, last: int, weekends: bool, hours: int
) -> None:
    resting.save(people.administrator, wishes([], from_hour=first, until_hour=last, weekends=weekends))
    found = resting.allowed(reserve.policy())
    assert len(found) == hours and (first in found)


def test_without_samples_nothing_rests_and_it_says_why(people: People, nodes: list[int]) -> None:
    seen = resting.look(people.administrator)
    kinds = [seen.said[id_].why.kind for id_ in nodes]
    assert kinds == ["resting.rest_not_chosen", *["resting.rest_unknown"] * 3]
    assert (seen.days, seen.turned, seen.kwh, seen.hindsight) == ([], [], 0, True)
    assert [node.id for node in seen.nodes] == nodes[1:], "this server's own host never rests"


def test_what_cannot_be_woken_never_rests_and_says_why(people: People, nodes: list[int]) -> None:
    write_samples(nodes, STEP, now() - timedelta(days=7), now())
    settings().wake_command = ""
    nic = {"name": "e", "mac": "52:54:00:12:34:56", "wakes": "cannot", "over": "", "is_default": True}
    with transaction() as session:
        for number in (1, 2):
            there = {"bridges": [], "cards": [], "files": [], "nics": [nic | {"addresses": [f"192.0.2.{number}/24"]}]}
            session.get_one(Node, nodes[number]).facts = {"host": there}
        session.get_one(Node, nodes[3]).access = Access.LIBVIRT
    seen = resting.look(people.administrator)
    assert "cannot" in str(seen.said[nodes[1]].why) and seen.said[nodes[3]].why.kind == "nodes.no_root"
    assert seen.kwh == 0 and {each.action for each in seen.said.values()} == {"stays"}


def test_a_week_of_quiet_nights_is_replayed_from_the_weeks_before(people: People, nodes: list[int]) -> None:
    moment = now()
    write_samples(nodes, STEP, moment - timedelta(days=7), moment)
    seen = resting.look(people.administrator)
    assert seen.hindsight and seen.kwh > 0 and seen.short == []
    write_samples(nodes, COARSE_STEP, moment - timedelta(days=20), moment - timedelta(days=7))
    seen = resting.look(people.administrator)
    assert not seen.hindsight and seen.short == []
    # Two of four rest in 5 nights of at least 10 hours, and on a weekend.
    assert 2 * (4 * 10 + 48) <= seen.rested_hours <= 2 * (168 - 50)
    assert seen.kwh == pytest.approx(seen.rested_hours * 0.2)
    assert {turn.action for turn in seen.turned} == {"rest", "wake"}
    assert max(len(turn.nodes) for turn in seen.turned) == 2, "what is done at once is said once"
    assert min(day.least for day in seen.days) == 2 and max(day.most for day in seen.days) == 4
    assert sum(day.rested_hours for day in seen.days) == pytest.approx(seen.rested_hours)


def test_what_does_not_serve_is_not_counted(people: People, nodes: list[int]) -> None:
    change(Node, Node.id == nodes[1], service_state=ServiceState.MAINTENANCE)
    change(Node, Node.id == nodes[2], runs_clones=False)
    seen = resting.look(people.administrator)
    assert {*seen.said} == {nodes[0], nodes[3]}
    assert len(seen.nodes) == 3, "they can be chosen all the same"


@pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
def test_sums_of_samples_are_alike_on_both_databases(migrated_app: Flask) -> None:
    chief = make_user("chief", Role.ADMINISTRATOR)
    found = make_nodes(3, memory_mib=10_000)
    change(Node, memory_reserve_mib=1000)
    at = bucket(now(), STEP) - timedelta(seconds=STEP)
    with transaction() as session:
        for node_id, share, load in zip(found, (0.05, 0.5, 0.3), (0.5, None, 0.25), strict=True):
            session.add(NodeSample(node_id=node_id, step=STEP, at=at, cpu_load=load, memory_used=share))
    ((seen_at, amount),) = resting._used(db.session(), STEP, at, now())
    # Of the first, all is the host's own.
    assert (seen_at, round(amount.memory_mib), amount.cpus) == (at, 6000, 6.0)
    assert resting.look(chief).hindsight
    facts = {"host": {"bridges": [], "cards": [], "files": [], "nics": [
        {"name": "e", "mac": "52:54:00:12:34:56", "wakes": "ready", "over": "", "addresses": ["192.0.2.3/24"],
         "is_default": True}]}}  # fmt: skip
    with transaction() as session:
        session.get_one(Node, found[2]).facts = facts
        session.get_one(Node, found[0]).facts = {"host": None}
        beside = nics.sender_among(session, nics.senders(session), session.get_one(Node, found[1]), ["192.0.2.2"])
    assert beside is not None and (beside[0].name, beside[1]) == ("n3", "192.0.2.255")
