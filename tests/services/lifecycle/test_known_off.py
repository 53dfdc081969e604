"""How a node that is down is away: it refuses, is silent, or is known to be off; and what ends that knowledge."""

import time
from collections.abc import Sequence

import pytest
from sqlalchemy import select

from ravada_web.errors import Conflict, InvalidInput, NotAllowed
from ravada_web.extensions import db
from ravada_web.hypervisor.health import NodeHealth
from ravada_web.messages import NOTHING, text
from ravada_web.models import Alert, Away, Clone, CloneState, Event, Node, Observed
from ravada_web.remote.sampling import Sample
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.lifecycle import known_off
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.recording import record
from ravada_web.services.monitoring.rounds import begin
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import change, make_base, make_nodes


@pytest.fixture
def node_id(people: People) -> int:
    """A node with two clones."""
    (found,) = make_nodes(1)
    request_clones(people.administrator, Request(make_base([found]), 2, "desk", people.user.name))
    change(Clone, state=CloneState.STOPPED)
    return found


def node(node_id: int) -> Node:
    db.session.rollback()
    return db.session.get_one(Node, node_id)


def actions() -> Sequence[str]:
    db.session.rollback()
    return db.session.scalars(select(Event.action).where(Event.object_kind == "node").order_by(Event.id)).all()


def reasons() -> list[str]:
    db.session.rollback()
    return [reason.kind for reason in db.session.scalars(select(Clone.reason))]


def see(node_id: int, away: Away | None) -> None:
    """A round of checks begins, and sees the node away in that manner; None: it answers."""
    number = begin([node_id])[node_id]
    if away is None:
        sample = Sample(0, 1000, 1000, {}, time.time())
        record([Answer(node_id, Observed.UP, sample=sample, health=NodeHealth({}), round=number)])
    else:
        record([Answer(node_id, Observed.DOWN, text("Gone."), away=away, round=number)])


@pytest.mark.parametrize("away", [Away.REFUSES, Away.SILENT])
def test_each_manner_says_what_may_be_done_now_and_its_clones_say_it_too(node_id: int, away: Away) -> None:
    see(node_id, away)
    found = node(node_id)
    assert (found.observed, found.away, found.what_now.kind) == (Observed.DOWN, away, f"nodes.now_{away}")
    assert reasons() == [f"clones.away_{away}"] * 2
    (alert,) = db.session.scalars(select(Alert)).all()
    assert str(node(node_id).what_now) in str(alert.text)
    see(node_id, None)
    assert (node(node_id).away, node(node_id).what_now) == (Away.NONE, NOTHING)


def test_a_node_that_turns_silent_after_it_refused_is_told_anew(node_id: int) -> None:
    """As a host that shuts down does: first sshd ends, then all."""
    see(node_id, Away.REFUSES)
    see(node_id, Away.SILENT)
    assert reasons() == ["clones.away_silent"] * 2
    assert list(actions()).count("observed") == 2


def test_an_administrators_word_makes_a_silent_node_known_to_be_off_until_it_answers(
    people: People, node_id: int
) -> None:
    see(node_id, Away.SILENT)
    known_off.say(people.administrator, node(node_id), " n1 ")
    assert node(node_id).is_known_off and "confirmed by" in str(node(node_id).what_now)
    see(node_id, Away.SILENT)
    assert node(node_id).is_known_off
    assert reasons() == ["clones.away_off"] * 2
    see(node_id, None)
    assert (node(node_id).away, node(node_id).known_off_at) == (Away.NONE, None)
    assert [action for action in actions() if "off" in action] == ["known_off", "known_off_ended"]


def test_a_refusal_ends_it_too_and_what_was_seen_before_it_was_said_does_not(people: People, node_id: int) -> None:
    see(node_id, Away.SILENT)
    old = begin([node_id])[node_id]
    known_off.say(people.administrator, node(node_id), "n1")
    record([Answer(node_id, Observed.DOWN, text("Refused."), away=Away.REFUSES, round=old)])
    assert node(node_id).is_known_off
    see(node_id, Away.REFUSES)
    assert (node(node_id).is_known_off, node(node_id).away) == (False, Away.REFUSES)


def test_a_check_that_hangs_on_this_side_proves_no_life(people: People, node_id: int) -> None:
    see(node_id, Away.SILENT)
    known_off.say(people.administrator, node(node_id), "n1")
    number = begin([node_id])[node_id]
    record([Answer(node_id, Observed.DEGRADED, text("Late."), round=number, libvirt_silent=True)])
    assert node(node_id).is_known_off


@pytest.mark.parametrize("away", [Away.REFUSES, None])
def test_a_node_that_answers_is_not_off_whatever_anybody_says(people: People, node_id: int, away: Away | None) -> None:
    see(node_id, away)
    with pytest.raises(Conflict):
        known_off.say(people.administrator, node(node_id), "n1")
    assert not node(node_id).is_known_off


def test_it_takes_the_nodes_name_and_the_right(people: People, node_id: int) -> None:
    see(node_id, Away.SILENT)
    with pytest.raises(InvalidInput):
        known_off.say(people.administrator, node(node_id), "n2")
    with pytest.raises(NotAllowed):
        known_off.say(people.user, node(node_id), "n1")
    assert not node(node_id).is_known_off


def test_it_can_be_taken_back_until_something_was_built_on_it(people: People, node_id: int) -> None:
    see(node_id, Away.SILENT)
    known_off.say(people.administrator, node(node_id), "n1")
    known_off.take_back(people.administrator, node(node_id))
    assert node(node_id).away == Away.SILENT
    with transaction() as session:
        known_off.record(session, session.get_one(Node, node_id), text("fenced by a test"))
        known_off.use(session, session.get_one(Node, node_id))
    with pytest.raises(Conflict):
        known_off.take_back(people.administrator, node(node_id))
    assert node(node_id).is_known_off


def test_nothing_is_built_on_a_node_that_is_only_silent(node_id: int) -> None:
    see(node_id, Away.SILENT)
    with pytest.raises(Conflict), transaction() as session:
        known_off.use(session, session.get_one(Node, node_id))
