"""Room for the loss of one node, from the rows: what new clones and starts leave free, who may use it, and what is said
of it; on both kinds of database."""

import json

import pytest
from flask import Flask, current_app
from sqlalchemy import select

from ravada_web.errors import NotAllowed
from ravada_web.extensions import db
from ravada_web.messages import text
from ravada_web.models import Away, Base, Clone, CloneCopy, CloneState, Event, Node, Observed, Operation, Role, User
from ravada_web.services.clones import actions, remake_work
from ravada_web.services.clones.errors import NoRoom
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.recording import record
from ravada_web.services.monitoring.rounds import begin
from ravada_web.services.operations.execution import run
from ravada_web.services.placements import reserve
from ravada_web.services.transaction import transaction
from tests.support.factories import change, make_base, make_nodes, make_user

GIB = 1024
one = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def chief(migrated_app: Flask) -> User:
    return make_user("chief", Role.ADMINISTRATOR)


@pytest.fixture
def base(chief: User) -> int:
    """On three nodes of 8 GiB; its clones have 1 GiB."""
    found = make_base(make_nodes(3, memory_mib=8 * GIB), memory_mib=GIB)
    reserve.set_kept(chief, True)
    return found


def ask(chief: User, base: int, count: int, *, volatile: bool = True, start: bool = True) -> None:
    request_clones(chief, Request(base, count, "pc", chief.name, volatile, start_after=start))
    # Their memory shows in no figures of the nodes yet.
    change(Clone, Clone.state == CloneState.REQUESTED, Clone.start_after, state=CloneState.RUNNING, start_after=False)
    change(Clone, Clone.state == CloneState.REQUESTED, state=CloneState.STOPPED)
    change(Operation, state="done")


def news() -> str:
    reserve.count()
    db.session.rollback()
    return str(reserve.policy().reserve_news)


def die(node_id: int) -> None:
    record([Answer(node_id, Observed.DOWN, text("gone"), Away.SILENT, round=begin([node_id])[node_id])])


def test_it_is_off_until_somebody_wants_it(chief: User) -> None:
    ask(chief, make_base(make_nodes(2, memory_mib=8 * GIB), memory_mib=GIB), 16)
    assert news() == (
        "If n1 fails, 8 GiB of memory is missing to make its desktops again on the others; for 2 nodes there is too "
        "little."
    )


def test_a_cluster_is_filled_as_far_as_the_loss_of_a_node_can_be_made_up_for(chief: User, base: int) -> None:
    with pytest.raises(NoRoom) as refusal:
        ask(chief, base, 17)
    assert "its free memory is kept for the loss of" in str(refusal.value) or "no other node has memory" in str(
        refusal.value
    )
    ask(chief, base, 15)
    assert news() == "If any one node fails, all desktops that are made again fit on the others."
    with pytest.raises(NoRoom):
        ask(chief, base, 2)


def test_after_a_death_all_are_made_again_in_that_room(chief: User, base: int) -> None:
    ask(chief, base, 15)
    dead = db.session.scalars(select(Node.id).order_by(Node.id)).first()
    assert dead is not None
    die(dead)
    operation = db.session.scalars(select(Operation.id).where(Operation.kind == "clones_remake")).one()
    db.session.rollback()
    run(operation, 1, remake_work.remake)
    db.session.rollback()
    rows = db.session.scalars(select(Clone)).all()
    assert len(rows) == 15 and all(row.node_id != dead for row in rows)
    with pytest.raises(NoRoom):
        request_clones(chief, Request(base, 1, "late", chief.name, True, start_after=True))
    assert "missing" in news()


def test_what_waits_for_a_death_to_be_made_up_for_comes_before_new_ones(chief: User, base: int) -> None:
    ask(chief, base, 12)
    dead = db.session.scalars(select(Node.id).order_by(Node.id)).first()
    assert dead is not None
    die(dead)
    # Room for those that were lost, and for two more.
    change(Node, Node.id != dead, memory_free_mib=3 * GIB, figures_round=99)
    with pytest.raises(NoRoom):
        request_clones(chief, Request(base, 3, "late", chief.name, False, start_after=True))
    change(Node, Node.id != dead, memory_free_mib=GIB)
    assert news() == "n1 failed, and 2 GiB of memory is missing to make its desktops again on the others."


@one
def test_starts_leave_it_free_as_new_ones_do(chief: User, base: int) -> None:
    ask(chief, base, 12)
    ask(chief, base, 9, volatile=False, start=False)
    off = db.session.scalars(select(Clone.id).where(~Clone.volatile).order_by(Clone.id)).all()
    outcome = actions.start(chief, off)
    assert len(outcome.done) == 6 and {skip.obstacle for skip in outcome.skipped} == {"no_memory"}
    assert "kept for the loss of" in str(outcome.skipped[0].why)
    # What is paused holds its memory still.
    change(Clone, Clone.id == off[-1], state=CloneState.PAUSED)
    assert len(actions.start(chief, [off[-1]]).done) == 1


@one
def test_only_what_could_be_made_again_counts(chief: User, base: int) -> None:
    nodes = db.session.scalars(select(Node.id).order_by(Node.id)).all()
    db.session.rollback()
    ask(chief, base, 9, volatile=False)
    assert news() == "", "of persistent ones there are no copies"
    with transaction() as session:
        clone = session.scalars(select(Clone).where(Clone.node_id == nodes[0])).first()
        assert clone is not None
        session.add(CloneCopy(clone_id=clone.id, node_id=nodes[1]))
    assert news().startswith("If any one")
    change(Node, Node.id == nodes[1], memory_free_mib=512, figures_round=99)
    assert news() == "If n1 fails, 1 GiB of memory is missing to make its desktops again on the others."
    change(Base, remakes=False)
    other = make_base(nodes[:1], name="alone", memory_mib=GIB)
    ask(chief, other, 2)
    assert news().startswith("If n1 fails, 1 GiB"), "what one node alone may run is not to be saved"


@one
def test_it_is_an_administrators_to_say_and_in_the_log(chief: User) -> None:
    with pytest.raises(NotAllowed):
        reserve.set_kept(make_user("bob", Role.OPERATOR), True)
    for kept in (True, True, False):
        reserve.set_kept(chief, kept)
    said = current_app.test_cli_runner().invoke(args=["nodes", "reserve", "--json"])
    assert json.loads(said.output) == [{"kept": False, "missing_mib": 0, "means": ""}], said.output
    assert db.session.scalars(select(Event.action).where(Event.object_kind == "cluster")).all() == [
        "keep_reserve",
        "end_reserve",
    ]
