"""Fencing by IPMI: fence_ipmilan for real, against Debian's simulator of a management controller."""

from collections.abc import Callable, Iterator
from pathlib import Path
from socket import AF_INET, SOCK_DGRAM, socket

import pytest
from sqlalchemy import update

from ravada_web.extensions import db
from ravada_web.models import Away, Fence, Node, Observed, Operation, OperationState
from ravada_web.services.lifecycle import fence_agents, fencing, waking
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import make_nodes
from tests.support.ipmi import PASSWORD, SIMULATOR, Controller, ipmi

AGENT = "fence_ipmilan"
pytestmark = pytest.mark.skipif(
    not ((fence_agents.FOLDER / AGENT).exists() and SIMULATOR.exists()),
    reason="no fence agents or no simulator (apt install fence-agents ipmitool openipmi)",
)
Ask = Callable[..., Operation]


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Controller]:
    with ipmi(tmp_path) as controller:
        yield controller


@pytest.fixture
def node(app: object, monkeypatch: pytest.MonkeyPatch) -> Node:
    """A silent node at an address where nobody answers."""
    monkeypatch.setattr(fencing, "APART_SECONDS", 0.1)
    monkeypatch.setattr(fencing, "PRESENCE_SECONDS", 0.3)
    (found,) = make_nodes(1)
    silent = {"address": "192.0.2.77", "observed": Observed.DOWN, "seen": Observed.DOWN, "away": Away.SILENT}
    with transaction() as session:
        session.execute(update(Node).values(silent))
    return db.session.get_one(Node, found)


@pytest.fixture
def asked(people: People, node: Node, drain: Callable[[], None]) -> Ask:
    """Sets the options, then tests the agent, or has it turn the node off; returns the operation, which is over."""

    def ask(options: dict[str, str], *, off: bool = False) -> Operation:
        fencing.configure(people.administrator, node, fence_agents.describe(AGENT), options)
        if off:
            operation = fencing.request_off(people.administrator, node, node.name).id
        else:
            operation = fencing.request_test(people.administrator, node).id
        drain()
        db.session.rollback()
        return db.session.get_one(Operation, operation)

    return ask


def away(node: Node) -> str:
    db.session.rollback()
    return db.session.get_one(Node, node.id).away


def test_a_node_is_turned_off_and_known_to_be_off_when_that_was_said_twice(
    node: Node, device: Controller, asked: Ask
) -> None:
    assert asked(device.options).result == {"power": "on"}
    assert "set power 0" not in device.asked
    done = asked(device.options, off=True)
    assert (done.state, done.result) == (OperationState.DONE, {"power": "off"})
    assert (device.folder / "state").read_text() == "0\n"
    after = device.asked[device.asked.index("set power 0") + 1 :]
    # The agent itself looks whether it worked; the product asks it twice more.
    assert after == ["get power"] * 3
    assert away(node) == Away.OFF
    assert asked(device.options).result == {"power": "off"}


def test_with_a_wrong_password_nothing_is_known(node: Node, device: Controller, asked: Ask) -> None:
    failed = asked(device.options | {"password": "guess-of-mine"}, off=True)
    assert (failed.state, failed.error.kind) == (OperationState.FAILED, "fencing.unclear")
    said = db.session.get_one(Fence, node.id).said
    assert "guess-of-mine" not in f"{failed.error} {said}" and PASSWORD not in f"{failed.error} {said}"
    assert (device.folder / "state").read_text() == "1\n" and away(node) == Away.SILENT


def test_a_controller_that_is_gone_is_given_up_in_our_time_not_the_agents(
    node: Node, device: Controller, asked: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever limit it is told, the agent waits 20 s for one that does not answer."""
    monkeypatch.setattr(fence_agents, "OFF_SECONDS", 1.0)
    monkeypatch.setattr(fence_agents, "STATUS_SECONDS", 1.0)
    with socket(AF_INET, SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        gone = device.options | {"ipport": str(silent.getsockname()[1]), "login_timeout": "1", "power_timeout": "1"}
        failed = asked(gone, off=True)
    assert (failed.state, failed.error.kind) == (OperationState.FAILED, "fencing.late")
    assert away(node) == Away.SILENT


def test_a_node_that_is_off_is_woken_by_its_agent(
    node: Node, device: Controller, people: People, drain: Callable[[], None]
) -> None:
    (device.folder / "state").write_text("0\n")
    fencing.configure(people.administrator, node, fence_agents.describe(AGENT), device.options)
    operation = waking.request_wake(people.administrator, node).id
    drain()
    db.session.rollback()
    watched = db.session.get_one(Operation, operation)
    assert watched.state == OperationState.WATCHED and "set power 1" in device.asked
    assert [said["kind"] for said in watched.result["tried"]] == ["waking.by_agent"]
    assert (device.folder / "state").read_text() == "1\n"


def test_one_whose_agent_does_not_turn_it_on_says_so_at_once(
    node: Node, device: Controller, people: People, drain: Callable[[], None]
) -> None:
    (device.folder / "state").write_text("0\n")
    wrong = device.options | {"password": "guess-of-mine"}
    fencing.configure(people.administrator, node, fence_agents.describe(AGENT), wrong)
    operation = waking.request_wake(people.administrator, node).id
    drain()
    db.session.rollback()
    failed = db.session.get_one(Operation, operation)
    assert failed.state == OperationState.FAILED and "could not turn the machine on" in str(failed.error)
    assert "guess-of-mine" not in str(failed.error)
