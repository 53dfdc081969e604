"""What a check saw, written down: nodes, pools and clones; and what a check must not overwrite."""

import threading
import time
from dataclasses import replace

import pytest
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.hypervisor.facts import PoolFacts
from ravada_web.hypervisor.health import DomainState, NodeHealth
from ravada_web.messages import text
from ravada_web.models import Clone, CloneState, Event, Node, NodeSample, Observed, Operation, Trust
from ravada_web.remote.changed_keys import changed
from ravada_web.remote.sampling import Sample
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.questions import questions_of
from ravada_web.services.monitoring.recording import record
from ravada_web.services.monitoring.rounds import begin
from ravada_web.services.nodes import endpoints
from ravada_web.services.nodes.facts import store_facts
from ravada_web.services.operations.outbox import queue
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import FACTS, POOL, change, make_base, make_nodes

GIB = 1 << 30


@pytest.fixture
def node_id(people: People) -> int:
    """A node with one clone, stopped."""
    (found,) = make_nodes(1)
    request_clones(people.administrator, Request(make_base([found]), 1, "desk", people.user.name))
    change(Clone, state=CloneState.STOPPED)
    return found


def node() -> Node:
    db.session.rollback()
    return db.session.scalars(select(Node)).one()


def clone() -> Clone:
    db.session.rollback()
    return db.session.scalars(select(Clone)).one()


def seen(node_id: int, state: str | None = "stopped", **changes: object) -> Answer:
    """An answer in which the clone is in that state; None: it is not there."""
    domains = {clone().uuid: DomainState("desk-1", state)} if state else {}
    sample = Sample(0.5, 16384, 9000, {POOL: (100 * GIB, 40 * GIB)}, time.time())
    values = {"sample": sample, "health": NodeHealth(domains), "round": 1, **changes}
    return Answer(node_id, Observed.UP, **values)  # type: ignore[arg-type]


def test_figures_and_states_are_written(node_id: int) -> None:
    record([seen(node_id, "running")])
    found = node()
    assert (found.memory_free_mib, found.cpu_load) == (9000, 0.5 / 8)
    assert (found.pools[0].total_mib, found.pools[0].free_mib) == (102_400, 40_960)
    assert clone().state == CloneState.RUNNING


def test_the_memory_that_was_measured_counts_and_not_what_libvirt_found_when_it_began(node_id: int) -> None:
    record([seen(node_id)])
    measured = node().memory_total_mib
    assert FACTS.memory_mib != measured
    with transaction() as session:
        store_facts(session.get_one(Node, node_id), FACTS, None)
    assert node().memory_total_mib == measured


def test_a_pool_that_is_not_there_any_more_counts_as_full(node_id: int) -> None:
    record([seen(node_id, sample=Sample(0.5, 16384, 9000, {}, time.time()))])
    assert node().pools[0].free_mib is None


def test_a_dead_nodes_clones_are_unreachable_and_come_back_with_it(node_id: int) -> None:
    record([Answer(node_id, Observed.DOWN, text("SSH does not answer."), round=1)])
    assert (node().observed, str(node().reason)) == (Observed.DOWN, "SSH does not answer.")
    assert clone().state == CloneState.UNREACHABLE
    record([seen(node_id, round=2)])
    assert clone().state == CloneState.STOPPED


def test_a_change_of_state_is_one_event_and_no_change_is_none(node_id: int) -> None:
    for later in (1, 2, 3):
        record([Answer(node_id, Observed.DOWN, text("Gone."), round=later)])
    events = db.session.scalars(select(Event).where(Event.action == "observed")).all()
    assert [str(event.text) for event in events] == ["down: Gone."]


def other_key_seen(node_id: int) -> None:
    """Some connection meets another key than the pinned one, whatever thread it is in."""
    where = endpoints.target(db.session.get_one(Node, node_id))
    db.session.rollback()
    meeting = threading.Thread(target=changed, args=(where, "SHA256:old", "SHA256:new"))
    meeting.start()
    meeting.join()


def test_a_changed_key_quarantines_by_whatever_way_it_was_met_and_once(node_id: int) -> None:
    other_key_seen(node_id)
    assert (node().trust, node().reason.kind) == (Trust.CHANGED, "remote.host_key_changed")
    other_key_seen(node_id)
    events = db.session.scalars(select(Event).where(Event.action == "observed")).all()
    assert [event.text.figures["state"].kind for event in events] == ["nodes.state_quarantined"]


def test_a_quarantined_node_is_trusted_again_once_its_pinned_key_answered_and_not_before(node_id: int) -> None:
    other_key_seen(node_id)
    record([seen(node_id, round=2)])
    assert node().trust == Trust.CHANGED, "what came over a link of before proves nothing"
    record([seen(node_id, round=3, pinned_again=True)])
    assert node().trust == Trust.PINNED


@pytest.mark.parametrize("change_made", [{"address": "203.0.113.77"}, {"host_key": "ssh-ed25519 BBBB"}])
def test_what_an_old_connection_met_does_not_count_after_the_node_was_edited(
    node_id: int, change_made: dict[str, str]
) -> None:
    where = endpoints.target(db.session.get_one(Node, node_id))
    change(Node, **change_made)
    changed(where, "SHA256:old", "SHA256:new")
    assert node().trust == Trust.PINNED


def test_an_answer_older_than_what_is_known_is_passed_over(node_id: int) -> None:
    record([seen(node_id)])
    record([Answer(node_id, Observed.DOWN, "Late news.", round=0)])
    assert node().observed == Observed.UP


@pytest.mark.parametrize("state", [CloneState.CREATING, CloneState.STARTING, CloneState.STOPPING, CloneState.DELETING])
def test_a_state_that_an_operation_owns_is_not_overwritten(node_id: int, state: CloneState) -> None:
    change(Clone, state=state)
    record([seen(node_id, "running")])
    assert clone().state == state


def test_what_was_seen_before_the_last_move_is_no_news(node_id: int) -> None:
    change(Clone, changed_round=1)
    record([seen(node_id, None)])
    assert clone().state == CloneState.STOPPED, "its domain may have been defined after the check looked"


def test_a_domain_that_somebody_removed_is_said_to_be_missing(node_id: int) -> None:
    record([seen(node_id, None)])
    assert (clone().state, clone().reason.kind) == (CloneState.FAILED, "clones.vanished")


def test_the_domains_of_others_are_offered_for_import(node_id: int) -> None:
    foreign = NodeHealth({"other": DomainState("<b>theirs</b>", "stopped"), clone().uuid: DomainState("d", "stopped")})
    record([seen(node_id, health=foreign)])
    assert node().other_domains == ["<b>theirs</b>"]


def test_a_volatile_clone_that_ran_and_stopped_is_thrown_away(node_id: int) -> None:
    change(Clone, volatile=True)
    record([seen(node_id)])
    assert clone().state == CloneState.STOPPED, "it has never run"
    change(Clone, started_at=clone().created_at)
    record([seen(node_id, round=2)])
    assert clone().state == CloneState.DELETING
    db.session.rollback()
    assert "clones_delete" in db.session.scalars(select(Operation.kind)).all()


@pytest.mark.parametrize(
    "sample",
    [
        Sample(0.5, 1 << 80, 9000, {}, 0.0),
        Sample(0.5, 16384, 9000, {POOL: (1 << 90, 1 << 90)}, 0.0),
    ],
)
def test_figures_past_all_bounds_degrade_their_node_and_keep_no_other_from_being_written(
    people: People, sample: Sample
) -> None:
    honest, hostile, last = make_nodes(3)
    change(Node, memory_free_mib=1)
    fine = Sample(0.5, 16384, 9000, {}, time.time())
    lot = [(honest, fine), (hostile, sample), (last, fine)]
    record([Answer(number, Observed.UP, sample=said, round=1) for number, said in lot])
    db.session.rollback()
    rows = {row.id: (row.observed, row.memory_free_mib) for row in db.session.scalars(select(Node))}
    assert rows == {
        honest: (Observed.UP, 9000),
        hostile: (Observed.DEGRADED, 1),
        last: (Observed.UP, 9000),
    }


def uuid_events() -> list[str]:
    db.session.rollback()
    return [event.text.kind for event in db.session.scalars(select(Event).where(Event.action == "host_uuid"))]


def test_two_machines_with_one_uuid_are_both_up_and_it_is_told_once(people: People) -> None:
    first, twin, other = make_nodes(3)
    fresh = replace(FACTS, host_uuid="uuid-of-two")
    facts = [(first, fresh), (twin, fresh), (other, replace(FACTS, host_uuid="uuid-of-its-own"))]
    for later in (1, 2):
        record([Answer(number, Observed.UP, facts=those, round=later) for number, those in facts])
    db.session.rollback()
    rows = {row.id: (row.observed, row.host_uuid) for row in db.session.scalars(select(Node))}
    assert rows == {
        first: (Observed.UP, "uuid-of-two"),
        twin: (Observed.UP, "uuid-of-two"),
        other: (Observed.UP, "uuid-of-its-own"),
    }
    assert uuid_events() == ["nodes.same_uuid"]


def test_a_new_host_uuid_under_the_pinned_key_is_kept_and_told(node_id: int) -> None:
    for later, uuid in ((1, "uuid-1"), (2, "uuid-after-a-restart"), (3, "uuid-after-a-restart")):
        record([seen(node_id, facts=replace(FACTS, host_uuid=uuid), round=later)])
    assert (node().observed, node().host_uuid) == (Observed.UP, "uuid-after-a-restart")
    assert uuid_events() == ["nodes.new_uuid"]


SEEN_POOL = PoolFacts("default", POOL, True, 1000, 500)
ODD_ANSWERS = {
    "no UTF-8": {"health": NodeHealth({"u": DomainState("half \ud800 a pair", "stopped")})},
    "a nonsensical state": {"health": NodeHealth({"u": DomainState("x", "stopped"), "known": DomainState("x", "mad")})},
    "a pool of no path": {"facts": replace(FACTS, pools=(replace(SEEN_POOL, path=None),))},
    "two pools of one name": {
        "facts": replace(FACTS, pools=(replace(SEEN_POOL, name="a"), replace(SEEN_POOL, name="a")))
    },
    "memory past all bounds": {"sample": Sample(0.5, 1 << 80, 9000, {}, 0.0)},
    "text for a number": {"sample": Sample(0.5, "much", 9000, {}, 0.0)},
}


@pytest.mark.parametrize("odd", ODD_ANSWERS)
def test_whatever_is_odd_in_an_answer_is_its_own_nodes_state_with_an_event(people: People, odd: str) -> None:
    first, strange, last = make_nodes(3)
    request_clones(people.administrator, Request(make_base([strange]), 1, "desk", people.user.name))
    change(Clone, state=CloneState.STOPPED)
    answer = Answer(strange, Observed.UP, round=1, **ODD_ANSWERS[odd])
    if answer.health and "known" in answer.health.domains:
        answer.health = NodeHealth({clone().uuid: answer.health.domains["known"]})
    fine = Sample(0.5, 16384, 9000, {}, time.time())
    record([*(Answer(number, Observed.UP, sample=fine, round=1) for number in (first, last)), answer])
    db.session.rollback()
    rows = {row.id: row for row in db.session.scalars(select(Node))}
    assert [(rows[number].observed, rows[number].memory_free_mib) for number in (first, last)] == [("up", 9000)] * 2
    if odd != "no UTF-8":
        assert (rows[strange].observed, rows[strange].reason.kind) == (Observed.DEGRADED, "nodes.unstorable")
        assert db.session.scalars(select(Event.object_id).where(Event.action == "observed")).all() == [strange]
    assert db.session.scalars(select(NodeSample.node_id).order_by(NodeSample.node_id)).all() == [first, last]


def test_work_that_was_asked_for_in_an_answer_that_cannot_be_stored_is_not_queued(people: People) -> None:
    (found,) = make_nodes(1)
    request_clones(people.administrator, Request(make_base([found]), 1, "desk", people.user.name))
    change(Clone, state=CloneState.STOPPED, volatile=True)
    change(Clone, started_at=clone().created_at)
    before = len(queue("default").get_job_ids())
    record([seen(found, sample=Sample(0.5, 1 << 80, 9000, {}, 0.0))])
    assert clone().state == CloneState.STOPPED
    assert "clones_delete" not in db.session.scalars(select(Operation.kind)).all()
    assert len(queue("default").get_job_ids()) == before


def test_an_address_that_ssh_does_not_take_is_its_own_nodes_state_and_no_other_suffers(people: People) -> None:
    first, strange = make_nodes(2)
    with transaction() as session:
        session.get_one(Node, strange).address = "-oProxyCommand=id"
    numbers = begin([first, strange])
    questions, unasked = questions_of(db.session.scalars(select(Node).order_by(Node.id)).all(), numbers, {})
    assert [question.target.node_id for question in questions] == [first]
    record(unasked)
    db.session.rollback()
    found = db.session.get_one(Node, strange)
    assert (found.observed, found.reason.kind) == (Observed.DOWN, "remote.invalid_address")
    linked = endpoints.targets_to_link()
    assert [target.node_id for target in linked.targets] == [first]
    assert linked.refused[strange].kind == "remote.invalid_address"
