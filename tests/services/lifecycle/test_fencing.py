"""Fencing a node: what is kept of its agent, and when it is known to be off."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from ravada_web.config import Settings
from ravada_web.errors import Conflict, InvalidInput, NotAllowed
from ravada_web.extensions import db
from ravada_web.models import Away, Event, Fence, Node, Operation, OperationState, User
from ravada_web.services.lifecycle import fence_agents, fencing, removal
from ravada_web.services.operations.execution import run
from ravada_web.services.operations.processes import process_start
from ravada_web.services.operations.requests import retry
from ravada_web.services.operations.sweep import hand_back
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import make_nodes
from tests.support.redfish import Machine, redfish
from tests.support.servers import wait_until

pytestmark = pytest.mark.skipif(
    not (fence_agents.FOLDER / "fence_redfish").exists(), reason="no fence agents (apt install fence-agents)"
)
Drain = Callable[[], None]


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fencing, "APART_SECONDS", 0.1)
    monkeypatch.setattr(fencing, "PRESENCE_SECONDS", 0.3)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Machine]:
    with redfish(tmp_path) as machine:
        yield machine


@pytest.fixture
def node() -> Node:
    """A node at an address where nobody answers."""
    (found,) = make_nodes(1)
    with transaction() as session:
        session.execute(update(Node).values(address="192.0.2.77"))
    return db.session.get_one(Node, found)


def set_up(administrator: User, node: Node, device: Machine, **other: str) -> None:
    fencing.configure(administrator, node, fence_agents.describe("fence_redfish"), device.options | other)


def fence(node_id: int) -> Fence:
    db.session.rollback()
    return db.session.get_one(Fence, node_id)


def over(operation: int) -> Operation:
    db.session.rollback()
    return db.session.get_one(Operation, operation)


def test_its_secrets_are_sealed_and_kept_only_while_nothing_else_changes(
    people: People, node: Node, device: Machine
) -> None:
    set_up(people.administrator, node, device)
    before = fence(node.id)
    assert "password" not in before.options and device.password not in before.secrets
    sealed = before.secrets
    set_up(people.administrator, node, device, password="")
    assert fencing._kept(fence(node.id)) == {"password": device.password}
    with pytest.raises(InvalidInput) as caught:
        set_up(people.administrator, node, device, password="", ip="198.51.100.1")
    assert list(caught.value.fields) == ["option-password"]
    assert fence(node.id).options["ip"] == "127.0.0.1" and sealed


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ip", "192.0.2.1\naction=on"),
        ("password", "a\nmissing_as_off=1"),
        ("username", ""),
        ("ipport", "https"),
        ("ssl_insecure", "maybe"),
        ("ip", "x" * 600),
    ],
)
def test_what_is_no_value_of_its_option_is_refused_beside_its_field(
    people: People, node: Node, device: Machine, name: str, value: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        set_up(people.administrator, node, device, **{name: value})
    assert list(caught.value.fields) == [f"option-{name}"]
    assert db.session.get(Fence, node.id) is None


def test_a_test_says_what_was_answered(people: People, node: Node, device: Machine, drain: Drain) -> None:
    set_up(people.administrator, node, device)
    operation = fencing.request_test(people.administrator, node).id
    drain()
    assert (over(operation).state, over(operation).result) == (OperationState.DONE, {"power": "on"})
    assert fence(node.id).power == "on" and fence(node.id).asked_at is not None
    device.password = "another"
    failed = fencing.request_test(people.administrator, node).id
    drain()
    assert over(failed).state == OperationState.FAILED
    assert (fence(node.id).power, fence(node.id).said.kind) == ("", "fencing.unclear")


def test_a_node_that_is_turned_off_is_known_to_be_off(
    people: People, node: Node, device: Machine, drain: Drain
) -> None:
    set_up(people.administrator, node, device)
    operation = fencing.request_off(people.administrator, node, f" {node.name} ").id
    drain()
    assert over(operation).state == OperationState.DONE and device.power == "Off"
    found = db.session.get_one(Node, node.id)
    assert found.away == Away.OFF and "fence_redfish" in str(found.known_off_by)
    actions = db.session.scalars(select(Event.action).where(Event.object_kind == "node").order_by(Event.id)).all()
    assert actions[-3:] == ["set_fence", "turn_off", "known_off"]
    with pytest.raises(Conflict):
        retry(people.administrator, [operation])


def test_a_device_that_takes_the_command_and_stays_on_is_believed(
    people: People, node: Node, device: Machine, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fence_agents, "OFF_SECONDS", 2.0)  # the agent itself waits for 20 s
    device.obeys = False
    set_up(people.administrator, node, device)
    operation = fencing.request_off(people.administrator, node, node.name).id
    drain()
    assert device.asked and over(operation).state == OperationState.FAILED
    assert db.session.get_one(Node, node.id).away == Away.NONE


def test_a_node_that_answers_is_not_off_whatever_the_device_says(
    people: People, node: Node, device: Machine, drain: Drain
) -> None:
    """Another machine's plug was named. Here nobody takes SSH connections, but the host refuses them."""
    with transaction() as session:
        session.execute(update(Node).values(address="127.0.0.1", port=1))
    set_up(people.administrator, node, device)
    operation = fencing.request_off(people.administrator, node, node.name).id
    drain()
    assert over(operation).error.kind == "fencing.node_answers"
    assert db.session.get_one(Node, node.id).away == Away.NONE


def test_off_once_is_not_twice(
    people: People, node: Node, device: Machine, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(people.administrator, node, device)
    asked = iter(["off", "on"])
    monkeypatch.setattr(fence_agents, "ask", lambda *_any: next(asked))
    operation = fencing.request_off(people.administrator, node, node.name).id
    drain()
    assert over(operation).error.kind == "fencing.still_on"
    assert db.session.get_one(Node, node.id).away == Away.NONE


def test_what_has_waited_for_long_is_not_done(people: People, node: Node, device: Machine, drain: Drain) -> None:
    set_up(people.administrator, node, device)
    operation = fencing.request_off(people.administrator, node, node.name).id
    with transaction() as session:
        row = session.get_one(Operation, operation)
        row.created_at -= timedelta(minutes=11)
    drain()
    assert over(operation).error.kind == "fencing.stale" and device.asked == []


def test_only_an_administrator_may_and_only_with_the_nodes_name(people: People, node: Node, device: Machine) -> None:
    for ask in (fencing.request_test, fencing.forget, lambda who, what: fencing.request_off(who, what, what.name)):
        with pytest.raises(NotAllowed):
            ask(people.operator, node)
    with pytest.raises(NotAllowed):
        set_up(people.operator, node, device)
    assert fencing.fence_of(people.operator, node) is None
    set_up(people.administrator, node, device)
    with pytest.raises(InvalidInput):
        fencing.request_off(people.administrator, node, "another")


def test_this_server_is_not_turned_off(people: People, node: Node, device: Machine) -> None:
    with transaction() as session:
        session.execute(update(Node).values(local=True))
    with pytest.raises(Conflict):
        set_up(people.administrator, db.session.get_one(Node, node.id), device)


def test_it_goes_with_its_node(people: People, node: Node, device: Machine) -> None:
    set_up(people.administrator, node, device)
    removal.remove(people.administrator, node)
    assert db.session.scalars(select(Fence)).all() == []


SCRIPT = """#!/bin/sh
cat >> {folder}/entered
case $(tail -n 1 {folder}/entered) in
action=metadata) cat {folder}/metadata;;
action=off) test -e {folder}/again || {{ echo $$ > {folder}/pid; touch {folder}/again; sleep 600; }};;
*) echo password=hunter2-hunter2 >&2; echo Status: OFF; exit 2;;
esac
"""
METADATA = """<resource-agent>
<parameters><parameter name="password"><content type="string"/></parameter></parameters>
<actions><action name="on"/><action name="off"/><action name="status"/><action name="reboot"/></actions>
</resource-agent>
"""
WORKER = """
import sys
from pathlib import Path
from ravada_web import create_app
from ravada_web.services.lifecycle import fence_agents, fencing
from ravada_web.services.operations.execution import run

fence_agents.FOLDER, fence_agents.GRACE_SECONDS, fence_agents.OFF_SECONDS = Path(sys.argv[1]), -1.0, 2.0
with create_app().app_context():
    run(int(sys.argv[2]), 1, fencing.turn_off)
"""


def test_a_worker_that_is_killed_while_the_agent_hangs_leaves_no_agent_and_the_next_one_does_it(
    people: People, node: Node, tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "metadata").write_text(METADATA)
    (tmp_path / "fence_ours").write_text(SCRIPT.format(folder=tmp_path))
    (tmp_path / "fence_ours").chmod(0o755)
    monkeypatch.setattr(fence_agents, "FOLDER", tmp_path)
    agent = fence_agents.describe("fence_ours")
    fencing.configure(people.administrator, node, agent, {"password": "hunter2-hunter2"})
    operation = fencing.request_off(people.administrator, node, node.name).id
    db.session.rollback()
    environment = os.environ | {"RAVADA_DATA": str(settings.data), "RAVADA_REDIS_URL": settings.redis_url}
    command = [sys.executable, "-c", WORKER, str(tmp_path), str(operation)]
    with (
        (tmp_path / "log").open("wb") as log,
        subprocess.Popen(command, env=environment, stdout=log, stderr=log) as worker,
    ):
        wait_until((tmp_path / "pid").exists, 60, "the agent hangs")
        worker.kill()
    assert over(operation).state == OperationState.RUNNING
    assert db.session.get_one(Node, node.id).away == Away.NONE, "nothing is known of it yet"
    hung = int((tmp_path / "pid").read_text())
    wait_until(lambda: not process_start(hung), 60, "the agent is ended without its worker")
    hand_back(operation, died=True)
    run(operation, 2, fencing.turn_off)
    assert over(operation).state == OperationState.DONE
    assert db.session.get_one(Node, node.id).away == Away.OFF
    assert "hunter2" in (tmp_path / "entered").read_text(), "it was given to the agent"
    everything = "".join(
        str(vars(row)) for table in (Event, Operation, Node) for row in db.session.scalars(select(table))
    )
    assert "hunter2" not in everything + (tmp_path / "log").read_text()
