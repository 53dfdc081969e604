"""A host that shows another key at a node's address, once that key is accepted: it is the node, or it stays outside
until somebody decides. On SQLite and PostgreSQL; what the host answers is given here, the lab asks a real one."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import select

from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.models import (
    Cause,
    Clone,
    CloneState,
    Event,
    Node,
    Observed,
    Operation,
    OperationState,
    Remains,
    Role,
    Trust,
    User,
)
from ravada_web.services.clones import remains
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.joining import host_keys, identification, inspection, remedies, verification
from ravada_web.services.joining.recognition import Who
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.recording import record
from ravada_web.services.operations import execution
from tests.services.joining.test_checks import DEBIAN
from tests.support.factories import change, make_base, make_nodes, make_operation, make_user

OLD, NEW = "ssh-ed25519 AAAA", "ssh-ed25519 BBBB"
MINE, THEIRS, FRESH = "a" * 32, "b" * 32, "c" * 32
BASE = "ravada-base-1-v1-vda.qcow2"
one = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def chief(migrated_app: Flask) -> User:
    return make_user("chief", Role.ADMINISTRATOR)


@pytest.fixture
def node_id(chief: User) -> int:
    """A quarantined node with desktops, beside others with theirs."""
    (_master, mine, theirs) = make_nodes(3)
    request_clones(chief, Request(make_base([mine, theirs]), 4, "pc", chief.name))
    change(Operation, state=OperationState.DONE)
    change(Clone, state=CloneState.STOPPED)
    change(Node, Node.id == mine, machine_id=MINE, trust=Trust.CHANGED, observed=Observed.DOWN)
    change(Node, Node.id == theirs, machine_id=THEIRS, host_key="ssh-ed25519 CCCC")
    return mine


def node(node_id: int) -> Node:
    db.session.rollback()
    return db.session.get_one(Node, node_id, populate_existing=True)


def files(node_name: str) -> list[str]:
    """What stands in the pool of that node."""
    db.session.rollback()
    clones = db.session.scalars(select(Clone).join(Clone.node).where(Node.name == node_name)).all()
    return [BASE, BASE.replace(".qcow2", ".overlay"), *(clone.disk_file("vda") for clone in clones)]


def accept(chief: User, node_id: int) -> Operation:
    """Accept the key that the host shows now."""
    row = node(node_id)
    params = {"name": row.name, "address": row.address, "port": 22, "user": "root", "node_id": node_id}
    result = {"fingerprint": "SHA256:new", "host_key": NEW, "source": "192.0.2.1"}
    scan = make_operation("node_scan", params=params, state=OperationState.DONE, result=result)
    return host_keys.accept_join(chief, scan.id, "SHA256:new")


def look(
    patch: pytest.MonkeyPatch, operation: Operation, machine_id: str, there: Sequence[str], *, inspects: bool = False
) -> Operation:
    """Run the job; the host has this machine ID and these files. The inspection itself ends it, where it gets there."""
    patch.setattr(identification, "_look", lambda _where, _folders: (replace(DEBIAN, machine_id=machine_id), there))
    reached: list[int] = []
    patch.setattr(inspection, "log_in", lambda _workspace, where: reached.append(where.node_id) or 1 / 0)
    try:
        execution.run(operation.id, operation.attempt, inspection.inspect)
    except ZeroDivisionError:
        assert inspects
    db.session.rollback()
    assert bool(reached) == inspects
    return db.session.get_one(Operation, operation.id)


def test_the_node_with_a_rotated_key_is_pinned_again(
    chief: User, node_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = accept(chief, node_id)
    assert (node(node_id).trust, node(node_id).host_key) == (Trust.CHANGED, OLD), "accepted is not yet believed"
    look(monkeypatch, operation, MINE, files("n2"), inspects=True)
    row = node(node_id)
    assert (row.trust, row.host_key, row.new_host_key, row.newcomer) == (Trust.PINNED, NEW, "", {})
    assert row.machine_id == MINE


@pytest.mark.parametrize(
    ("machine_id", "there", "who", "said"),
    [
        (FRESH, (), Who.ANEW, "joining.host_anew"),
        (MINE, (), Who.EMPTIED, "joining.host_emptied"),
        (FRESH, ("n2",), Who.KEPT, "joining.host_kept"),
        (THEIRS, ("n3",), Who.OTHER, "joining.host_other"),
    ],
)
def test_any_other_host_stays_outside_and_what_it_is_is_said(
    chief: User,
    node_id: int,
    monkeypatch: pytest.MonkeyPatch,
    machine_id: str,
    there: Sequence[str],
    who: Who,
    said: str,
) -> None:
    ended = look(monkeypatch, accept(chief, node_id), machine_id, [name for one in there for name in files(one)])
    assert (ended.state, ended.result) == (OperationState.DONE, {"who": who})
    row = node(node_id)
    assert (row.trust, row.host_key, row.machine_id) == (Trust.CHANGED, OLD, MINE)
    text = identification.said_of(row)
    assert said in str(text.to_json()) and str(text)
    if who == Who.OTHER:
        assert text.figures["items"][0].figures["other"] == "n3" and text.figures["items"][1].figures["count"] == 2
    assert db.session.scalars(select(Event.action).where(Event.object_id == node_id)).all().count("recognised") == 1
    assert {clone.state for clone in db.session.scalars(select(Clone))} == {CloneState.STOPPED}


@one
def test_nothing_else_is_done_with_a_host_that_is_not_known_to_be_the_node(
    chief: User, node_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    look(monkeypatch, accept(chief, node_id), THEIRS, files("n3"))
    for act in (
        lambda: verification.request_verification(chief, node(node_id)),
        lambda: remedies.request_fix(chief, node(node_id), ["tools"]),
        lambda: identification.accept_as_node(chief, node(node_id)),
    ):
        with pytest.raises(Conflict):
            act()


def test_what_is_in_doubt_a_person_decides_once(chief: User, node_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    look(monkeypatch, accept(chief, node_id), FRESH, files("n2"))
    identification.accept_as_node(chief, node(node_id))
    row = node(node_id)
    assert (row.trust, row.host_key, row.machine_id) == (Trust.PINNED, NEW, FRESH)
    with pytest.raises(Conflict) as second:
        identification.accept_as_node(chief, node(node_id))
    assert second.value.message.kind == "joining.nothing_to_decide"


@one
def test_the_accepted_key_that_is_back_ends_it(chief: User, node_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    operation = accept(chief, node_id)
    record([Answer(node_id, Observed.UP, pinned_again=True, round=1)])
    row = node(node_id)
    assert (row.trust, row.host_key, row.new_host_key) == (Trust.PINNED, OLD, "")
    with pytest.raises(Conflict):
        accept(chief, node_id)
    change(Node, Node.id == node_id, new_host_key=NEW)
    ended = look(monkeypatch, operation, MINE, files("n2"))
    assert (ended.state, ended.error.kind) == (OperationState.FAILED, "joining.newcomer_gone")
    assert node(node_id).host_key == OLD


def test_files_that_cannot_be_ours_are_passed_over_whatever_bytes_name_them() -> None:
    ours = ["pc-1.0a1b2c3d.vda.qcow2", "pc-1.0a1b2c3d.nvram.fd", BASE, BASE.replace(".qcow2", ".overlay")]
    others = ["a\udce4.0a1b2c3d.vda.qcow2", "a\n.0a1b2c3d.vda.qcow2", "disk.img", "pc-1.0A1B2C3D.vda.qcow2"]
    assert identification.named_like_ours(f"/pool/{name}" for name in [*ours, *others]) == ours


@one
def test_what_a_desktop_left_here_when_it_moved_is_the_nodes_own(chief: User, node_id: int) -> None:
    moved = db.session.scalars(select(Clone).where(Clone.node_id != node_id)).first()
    assert moved is not None
    name, here = moved.disk_file("vda"), node(node_id)
    assert identification._found(db.session(), here, [name]).others == {"n3": 1}
    remains.leave(db.session(), [moved], Cause.MOVED)
    db.session.commit()
    change(Remains, node_id=node_id)
    found = identification._found(db.session(), node(node_id), [name])
    assert (found.desktops, found.others) == (1, {})
