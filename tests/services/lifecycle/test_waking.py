"""Waking a host: what is refused and why, what is tried, and how it ends."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from ravada_web.config import settings
from ravada_web.errors import Conflict, NotAllowed
from ravada_web.extensions import db
from ravada_web.messages import message
from ravada_web.models import Away, Event, Fence, Node, Observed, Operation, OperationState, ServiceState, now
from ravada_web.services.lifecycle import host_power, service_state, waking, waking_work
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import change, make_nodes, make_operation
from tests.support.refusals import refused

MAC = "52:54:00:12:34:56"
Drain = Callable[[], None]


def host(address: str, mac: str = MAC) -> dict[str, Any]:
    """The facts of a host with one card."""
    nic = {"name": "eno1", "mac": mac, "wakes": "ready", "over": "", "addresses": [address], "is_default": True}
    return {"host": {"bridges": [], "cards": ["eno1"], "files": [], "nics": [nic]}}


@pytest.fixture
def node_id(people: People) -> int:
    """A node in maintenance that is off; the master and n3 are up, n3 beside it."""
    _master, found, beside = make_nodes(3)
    facts = {found: "192.0.2.2/24", beside: "192.0.2.3/24"}
    with transaction() as session:
        for which, address in facts.items():
            session.get_one(Node, which).facts = host(address)
    service_state.begin_maintenance(people.administrator, node(found), "rests")
    change(Node, Node.id == found, seen=Observed.DOWN, away=Away.SILENT)
    return found


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configured command: it writes its words to a file, and ends as the file `status` beside it says."""
    program = tmp_path / "wake"
    program.write_text(f'#!/bin/sh\necho "$@" "$RAVADA_DATA" >>{tmp_path}/asked\nexit $(cat {tmp_path}/status)\n')
    program.chmod(0o755)
    (tmp_path / "status").write_text("0")
    monkeypatch.setattr(settings(), "wake_command", f"{program} 'with two words'")
    return tmp_path


def node(node_id: int) -> Node:
    db.session.rollback()
    return db.session.get_one(Node, node_id)


def read(operation: Operation) -> Operation:
    db.session.rollback()
    return db.session.get_one(Operation, operation.id)


def look(operation: Operation) -> Operation:
    waking_work.watch([operation.id])
    return read(operation)


def test_who_may_not_and_what_is_not_off_is_refused(people: People, node_id: int) -> None:
    with pytest.raises(NotAllowed):
        waking.request_wake(people.operator, node(node_id))
    for changed, kind in [
        ({"seen": Observed.UP, "away": Away.NONE}, "waking.not_off"),
        ({"seen": Observed.DOWN, "away": Away.REFUSES}, "waking.not_off"),
        ({"away": Away.SILENT, "checked_at": now() - timedelta(hours=1)}, "waking.not_off"),
        ({"checked_at": now(), "trust": "changed"}, "joining.quarantined"),
        ({"trust": "pinned", "local": True}, "waking.this_server"),
        ({"local": False, "wanted": "given_up"}, "nodes.given_up_already"),
    ]:
        with transaction() as session:
            row = session.get_one(Node, node_id)
            for name, value in changed.items():
                setattr(row, "service_state" if name == "wanted" else name, value)
        assert not waking.may(node(node_id))
        with refused(Conflict, kind):
            waking.request_wake(people.administrator, node(node_id))
    assert db.session.scalar(select(Operation)) is None


def test_where_there_is_no_way_each_is_said_why(people: People, node_id: int) -> None:
    change(Node, Node.id != node_id, seen=Observed.DOWN)
    with pytest.raises(Conflict) as caught:
        waking.request_wake(people.administrator, node(node_id))
    assert str(caught.value.message) == (
        "There is no way to wake n2. No other node that is up is in the network of n2 to send a Wake-on-LAN packet. "
        "No fence agent is set up for it."
    )
    change(Node, facts={})
    with transaction() as session:
        session.add(Fence(node_id=node_id, agent="fence_gone"))
    with pytest.raises(Conflict) as caught:
        waking.request_wake(people.administrator, node(node_id))
    assert "is not known" in str(caught.value.message) and "fence_gone is not installed" in str(caught.value.message)


def test_a_node_beside_it_sends_the_packet_and_no_other(people: People, node_id: int) -> None:
    found = waking.ways(db.session(), node(node_id))
    assert found.sender is not None and (found.mac, found.sender[0].name, found.sender[1]) == (MAC, "n3", "192.0.2.255")
    change(Node, Node.id == node_id, mac="52:54:00:00:00:99")
    assert waking.ways(db.session(), node(node_id)).mac == "52:54:00:00:00:99", "what is entered counts"
    change(Node, Node.id == node_id, facts={})
    assert waking.ways(db.session(), node(node_id)).sender is not None, "by the address that it is reached at"
    change(Node, Node.name == "n3", trust="changed")
    assert waking.ways(db.session(), node(node_id)).none


def test_what_is_under_way_with_its_power_goes_first(people: People, node_id: int, command: Path) -> None:
    waking.request_wake(people.administrator, node(node_id))
    with refused(Conflict, "nodes.power_under_way"):
        waking.request_wake(people.administrator, node(node_id))
    under_way = host_power.under_way(node(node_id))
    assert under_way is not None and under_way.kind == "host_wake"


def test_the_command_is_told_which_host_and_no_secret(
    people: People, node_id: int, command: Path, drain: Drain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAVADA_DATA", "secret")
    change(Node, Node.name == "n3", seen=Observed.DOWN)
    operation = waking.request_wake(people.administrator, node(node_id))
    drain()
    assert read(operation).state == OperationState.WATCHED
    assert (command / "asked").read_text() == "with two words n2 192.0.2.2  \n"
    asked = db.session.scalars(select(Event).where(Event.action == "wake")).one()
    assert (asked.actor, asked.object_name) == (people.administrator.name, "n2")


def test_where_nothing_was_taken_it_fails_at_once_with_what_was_tried(
    people: People, node_id: int, command: Path, drain: Drain
) -> None:
    (command / "status").write_text("3")
    change(Node, Node.name == "n3", seen=Observed.DOWN)
    operation = waking.request_wake(people.administrator, node(node_id))
    drain()
    ended = read(operation)
    assert ended.state == OperationState.FAILED
    assert str(ended.error).startswith("n2 could not be woken. The configured command failed (status 3)")


@pytest.fixture
def sent(people: People, node_id: int) -> Callable[[bool], Operation]:
    """A waking that is watched: the packet was sent."""

    def begin(enable: bool) -> Operation:
        tried = {"tried": [message("waking.by_packet", mac=MAC, senders=["n3"]).to_json()]}
        about: dict[str, Any] = {"node_id": node_id, "user_id": people.administrator.id, "params": {"enable": enable}}
        until = {"watched_until": now() + timedelta(seconds=waking_work.WAKE_SECONDS), "asked_at": now()}
        return make_operation("host_wake", state=OperationState.WATCHED, result=tried, **about, **until)

    return begin


@pytest.mark.parametrize("enable", [False, True])
def test_it_is_watched_until_it_is_up_and_enabled_where_that_was_asked(
    sent: Callable[[bool], Operation], node_id: int, enable: bool
) -> None:
    operation = sent(enable)
    stages = []
    for values in [
        {"away": Away.SILENT},
        {"away": Away.REFUSES},
        {"seen": Observed.DEGRADED, "away": Away.NONE},
        {"seen": Observed.UP, "returning": True},
    ]:
        change(Node, Node.id == node_id, **values)
        seen = look(operation)
        sent_by, stage = seen.message.figures["items"]
        assert sent_by.kind == "waking.by_packet", "by whom it was sent is said until its end"
        stages.append((seen.state, stage.kind, seen.progress))
    assert [stage[1] for stage in stages] == ["waking.silent", "waking.answers", "waking.ssh", "waking.ssh"]
    assert [stage[2] for stage in stages] == [10, 40, 70, 70]
    change(Node, Node.id == node_id, returning=False)
    ended = look(operation)
    assert (ended.state, ended.message.kind) == ("done", "waking.up" if enable else "waking.up_out")
    wanted = ServiceState.ENABLED if enable else ServiceState.MAINTENANCE
    assert node(node_id).service_state == wanted


def test_who_disables_it_meanwhile_is_heeded(people: People, sent: Callable[[bool], Operation], node_id: int) -> None:
    operation = sent(True)
    service_state.set_service_state(people.administrator, node(node_id), "disabled")
    change(Node, Node.id == node_id, seen=Observed.UP, away=Away.NONE)
    assert look(operation).state == OperationState.DONE and node(node_id).service_state == "disabled"


def test_one_that_does_not_come_up_ends_with_what_was_tried(sent: Callable[[bool], Operation], node_id: int) -> None:
    operation = sent(True)
    with transaction() as session:
        session.execute(update(Operation).values(watched_until=now() - timedelta(seconds=1)))
    ended = look(operation)
    assert ended.state == OperationState.FAILED and node(node_id).service_state == "maintenance"
    assert str(ended.error) == (
        f"n2 did not come up within 15 min. Last seen: Nothing answers yet. Wake-on-LAN to {MAC} was sent by n3."
    )


def test_cancelled_or_given_up_it_is_watched_no_longer(sent: Callable[[bool], Operation], node_id: int) -> None:
    first, second = sent(False), sent(False)
    with transaction() as session:
        session.get_one(Operation, first.id).cancel_asked = True
    assert look(first).state == OperationState.CANCELLED
    change(Node, Node.id == node_id, service_state=ServiceState.GIVEN_UP)
    assert (look(second).state, read(second).error.kind) == ("failed", "waking.no_longer")


def test_a_packet_that_cannot_be_sent_again_ends_nothing(sent: Callable[[bool], Operation], node_id: int) -> None:
    """n3 no longer answers, so that nothing is sent; the host may come up all the same."""
    operation = sent(False)
    change(Node, Node.name == "n3", address="127.0.0.1", port=9)
    with transaction() as session:
        session.execute(update(Operation).values(asked_at=now() - timedelta(minutes=1)))
    seen = look(operation)
    assert seen.state == OperationState.WATCHED and seen.asked_at is not None
    assert now() - seen.asked_at < timedelta(seconds=50)


def test_all_of_them_are_looked_at(sent: Callable[[bool], Operation]) -> None:
    operation = sent(False)
    assert waking_work.due() == [(operation.id,)]
