"""A node is itself by its pinned key and its machine ID; a host UUID, and what copies of a disk share, only warn."""

import time
from dataclasses import replace

import pytest
from sqlalchemy import select

from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.models import Event, Node, Observed, Trust
from ravada_web.remote.sampling import Sample
from ravada_web.services.joining import identity
from ravada_web.services.joining.checks import host
from ravada_web.services.joining.checks.findings import State
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.recording import record
from ravada_web.services.monitoring.rounds import begin
from tests.conftest import People
from tests.services.joining.test_checks import KEY, UUID, sharing
from tests.support.factories import FACTS, change, make_nodes

MACHINE = "a" * 32
KEYS = {"same": KEY, "other": "ssh-ed25519 BBBB"}
MACHINES = {"same": MACHINE, "other": "b" * 32, "missing": ""}
UUIDS = {"same": UUID, "other": "uuid-2", "missing": ""}

# A host that is to be added, beside a node: its key, its machine ID, its host UUID. "fail" is that node itself.
BESIDE: list[tuple[str, str, str, State]] = [
    ("same", "same", "same", "fail"),
    ("same", "same", "other", "fail"),
    ("same", "same", "missing", "fail"),
    ("same", "missing", "same", "fail"),
    ("same", "missing", "other", "fail"),
    ("same", "missing", "missing", "fail"),
    ("same", "other", "same", "warn"),
    ("same", "other", "other", "warn"),
    ("same", "other", "missing", "warn"),
    ("other", "same", "same", "warn"),
    ("other", "same", "other", "warn"),
    ("other", "same", "missing", "warn"),
    ("other", "other", "same", "warn"),
    ("other", "missing", "same", "warn"),
    ("other", "other", "other", "pass"),
    ("other", "other", "missing", "pass"),
    ("other", "missing", "other", "pass"),
    ("other", "missing", "missing", "pass"),
]


@pytest.mark.parametrize(("key", "machine", "uuid", "state"), BESIDE)
def test_a_host_beside_a_node(key: str, machine: str, uuid: str, state: State) -> None:
    found = host.twice(sharing(KEYS[key], UUIDS[uuid], MACHINES[machine]))
    assert found.state == state
    assert bool(found.remedy) == (state == "warn"), "what only warns says what ends it"


# The same host at its next check, under its pinned key: no other key gets that far. What is told, and what is asked.
AGAIN = [
    ("same", "same", [], False),
    ("same", "missing", [], False),
    ("same", "other", ["nodes.new_uuid"], False),
    ("missing", "same", [], False),
    ("missing", "missing", [], False),
    ("missing", "other", ["nodes.new_uuid"], False),
    ("other", "same", ["nodes.new_machine_id"], True),
    ("other", "missing", ["nodes.new_machine_id"], True),
    ("other", "other", ["nodes.new_machine_id", "nodes.new_uuid"], True),
]


def check(node_id: int, machine_id: str, host_uuid: str) -> None:
    """A check sees this."""
    sample = Sample(0.5, 16384, 9000, {}, time.time(), machine_id=machine_id)
    facts = replace(FACTS, host_uuid=host_uuid)
    record([Answer(node_id, Observed.UP, sample=sample, facts=facts, round=begin([node_id])[node_id])])


def told() -> list[str]:
    db.session.rollback()
    kinds = select(Event).where(Event.action.in_(["machine_id", "host_uuid"])).order_by(Event.id)
    return [event.text.kind for event in db.session.scalars(kinds)]


@pytest.fixture
def node_id(people: People) -> int:
    (made,) = make_nodes(1)
    change(Node, machine_id=MACHINE, host_uuid=UUID)
    return made


def node(node_id: int) -> Node:
    db.session.rollback()
    return db.session.get_one(Node, node_id)


@pytest.mark.parametrize(("machine", "uuid", "events", "asked"), AGAIN)
def test_a_node_at_its_next_check(node_id: int, machine: str, uuid: str, events: list[str], asked: bool) -> None:
    for _check in range(2):
        check(node_id, MACHINES[machine], UUIDS[uuid])
    assert told() == events, "once, however often it is seen"
    found = node(node_id)
    assert (found.observed, found.trust, found.machine_id) == (Observed.UP, Trust.PINNED, MACHINE)
    assert bool(found.other_machine_id) == asked
    assert found.host_uuid == (UUIDS[uuid] or UUID)


def test_another_machine_id_is_asked_about_until_it_is_accepted_or_gone(people: People, node_id: int) -> None:
    check(node_id, "b" * 32, UUID)
    check(node_id, MACHINE, UUID)
    assert node(node_id).other_machine_id == ""
    with pytest.raises(Conflict):
        identity.accept_machine_id(people.administrator, node(node_id))
    check(node_id, "b" * 32, UUID)
    identity.accept_machine_id(people.administrator, node(node_id))
    assert (node(node_id).machine_id, node(node_id).other_machine_id) == ("b" * 32, "")


def test_copies_of_a_disk_are_two_nodes_and_each_page_says_what_they_share(people: People) -> None:
    first, second, third = make_nodes(3)
    for each, machine in ((first, MACHINE), (second, MACHINE), (third, "c" * 32)):
        check(each, machine, UUID)
    assert told().count("nodes.same_machine_id") == 1
    assert {node(each).observed for each in (first, second, third)} == {Observed.UP}
    found = identity.shared(people.administrator, node(first))
    kinds = [(item.text.kind, item.text.figures["node"]) for item in found]
    assert kinds == [("joining.machine_id_shared", "n2"), ("joining.host_uuid_shared", "n3")]
    assert all(item.remedy for item in found)
