"""Actions on many clones: what can be done is done, and the rest is named with its reasons."""

import threading
from collections.abc import Callable, Mapping

import pytest
from flask import Flask
from sqlalchemy import delete as delete_rows
from sqlalchemy import select

from ravada_web.errors import Conflict, NotAllowed, NotFound
from ravada_web.extensions import db
from ravada_web.models import (
    Base,
    Clone,
    CloneState,
    Node,
    Observed,
    Operation,
    Pool,
    Replica,
    ReplicaState,
    ServiceState,
    User,
)
from ravada_web.services.clones import actions
from ravada_web.services.clones.obstacles import Obstacle
from ravada_web.services.clones.outcomes import Outcome
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.desktops import cards
from ravada_web.services.desktops.launching import launch, launch_new
from ravada_web.services.people import users
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import change, make_base, make_nodes
from tests.support.refusals import refused

EACH = [actions.start, actions.shut_down, actions.force_off, actions.restart, actions.delete]
each_action = pytest.mark.parametrize("action", EACH, ids=[action.name for action in EACH])


@pytest.fixture
def desks(people: People) -> list[int]:
    """Six desktops of the user's, on three nodes, switched off."""
    request_clones(people.administrator, Request(make_base(make_nodes(3)), 6, "desk", people.user.name))
    change(Clone, state=CloneState.STOPPED)
    db.session.execute(delete_rows(Operation))
    db.session.commit()
    return list(db.session.scalars(select(Clone.id).order_by(Clone.id)))


def write(values: Mapping[int, Mapping[str, object]], table: type = Clone) -> None:
    with transaction() as session:
        for id_, changes in values.items():
            for name, value in changes.items():
                setattr(session.get_one(table, id_), name, value)


def states() -> dict[str, str]:
    db.session.rollback()
    return {clone.name: str(clone.state) for clone in db.session.scalars(select(Clone))}


def names(outcome: Outcome) -> tuple[list[str], list[str]]:
    return [row.name for row in outcome.done], [row.name for row in outcome.skipped]


@pytest.mark.parametrize("action", EACH[:-1], ids=[action.name for action in EACH[:-1]])
def test_one_on_a_node_that_is_away_keeps_no_other_from_it(
    people: People, desks: list[int], action: actions.Action
) -> None:
    change(Clone, state=next(iter(action.states)))
    away = db.session.get_one(Clone, desks[0]).node
    write({away.id: {"observed": Observed.DOWN, "reason": "SSH does not answer."}}, Node)
    lost = [clone.name for clone in db.session.scalars(select(Clone).order_by(Clone.id)) if clone.node_id == away.id]
    outcome = action(people.administrator, desks)
    assert len(outcome.done) == 4 and names(outcome)[1] == lost
    assert {skipped.obstacle for skipped in outcome.skipped} == {Obstacle.AWAY}
    text = str(outcome.summary())
    assert "4 of 6; 2 skipped" in text
    assert f"{lost[0]} and {lost[1]}: Node {away.name} is not responding. SSH does not answer." in text
    assert all(
        state == ("stopped" if name in lost else action.working) or name in lost for name, state in states().items()
    )


@pytest.mark.parametrize("action", EACH[:-1], ids=[action.name for action in EACH[:-1]])
def test_each_state_that_forbids_it_is_a_reason_of_its_own(
    people: People, desks: list[int], action: actions.Action
) -> None:
    odd = (CloneState.CREATING, CloneState.UNREACHABLE)
    write({desks[0]: {"state": odd[0]}, desks[1]: {"state": odd[1]}})
    write({id_: {"state": next(iter(action.states))} for id_ in desks[2:]})
    outcome = action(people.administrator, desks)
    assert names(outcome) == (["desk-3", "desk-4", "desk-5", "desk-6"], ["desk-1", "desk-2"])
    assert [str(skipped.why) for skipped in outcome.skipped] == [
        "Not possible while being created.",
        "Not possible while unreachable.",
    ]


@each_action
def test_one_that_has_gone_meanwhile_is_named_and_what_does_not_exist_at_all_is_not_found(
    people: People, desks: list[int], action: actions.Action
) -> None:
    change(Clone, state=next(iter(action.states)))
    outcome = action(people.administrator, [*desks, 9999])
    assert len(outcome.done) == 6
    assert [(row.name, str(row.why)) for row in outcome.skipped] == [("#9999", "No longer exists.")]
    with pytest.raises(NotFound):
        action(people.administrator, [9998, 9999])


@each_action
def test_what_is_so_already_is_no_refusal(people: People, desks: list[int], action: actions.Action) -> None:
    change(Clone, state=next(iter(action.idle)))
    outcome = action(people.administrator, desks)
    assert (outcome.done, outcome.refused, len(outcome.skipped)) == ([], [], 6)
    assert outcome.require_some() is outcome


def test_a_preview_says_the_same_and_changes_nothing(people: People, desks: list[int]) -> None:
    write({desks[0]: {"state": CloneState.CREATING}})
    before = states()
    chosen, outcome = actions.start.preview(people.administrator, desks)
    assert [clone.id for clone in chosen] == desks[1:]
    assert states() == before
    assert actions.start(people.administrator, desks) == outcome


def test_where_none_can_the_reasons_are_the_error(people: People, desks: list[int]) -> None:
    change(Node, service_state=ServiceState.DISABLED)
    with pytest.raises(Conflict) as caught:
        actions.start(people.administrator, desks).require_some()
    assert str(caught.value).count("is disabled") == 3
    assert set(states().values()) == {"stopped"}


def test_many_of_one_reason_are_named_by_the_first(people: People) -> None:
    request_clones(people.administrator, Request(make_base(make_nodes(1)), 30, "desk", people.user.name))
    change(Clone, state=CloneState.CREATING)
    write({1: {"state": CloneState.STOPPED}})
    ids = list(db.session.scalars(select(Clone.id)))
    text = str(actions.start(people.administrator, ids).summary())
    assert text == (
        "Starting 1 of 30; 29 skipped. desk-2, desk-3, desk-4, desk-5, desk-6, desk-7, and 23 more: Not possible while "
        "being created."
    )


def test_a_user_deletes_what_its_base_lets_them(people: People, desks: list[int]) -> None:
    kept = make_base(list(db.session.scalars(select(Node.id))), name="kept")
    change(Base, Base.id != kept, users_may_delete=True)
    request_clones(people.administrator, Request(kept, 1, "kept", people.user.name))
    change(Clone, state=CloneState.STOPPED)
    everything = list(db.session.scalars(select(Clone.id).order_by(Clone.id)))
    outcome = actions.delete(people.user, everything)
    assert len(outcome.done) == 6
    assert [(row.name, row.why.kind) for row in outcome.skipped] == [("kept-1", "clones.why_not_deletable")]
    with pytest.raises(NotAllowed):
        actions.delete(people.user, everything[-1:])


# The same rule: CPU overcommit.
@pytest.fixture
def one_runs(people: People, desks: list[int]) -> list[int]:
    """All six on one node whose overcommit lets one run."""
    node_id = db.session.scalars(select(Node.id)).first()
    change(Clone, node_id=node_id)
    change(Node, cpus=1, cpu_overcommit=1.0)
    change(Base, offered_to_all=True)
    return desks


def test_cpu_overcommit_binds_starts_of_many(people: People, one_runs: list[int]) -> None:
    outcome = actions.start(people.administrator, one_runs)
    assert names(outcome) == (["desk-1"], [f"desk-{number}" for number in range(2, 7)])
    assert {skipped.obstacle for skipped in outcome.skipped} == {Obstacle.NO_PROCESSORS}
    assert not actions.start(people.administrator, one_runs[1:]).done


def test_cpu_overcommit_binds_a_launch_and_is_on_the_card(people: People, one_runs: list[int]) -> None:
    launch(people.user, one_runs[0])
    with refused(Conflict, "desktops.not_launched"):
        launch(people.user, one_runs[1])
    shown = {card.clone.name: card for card in cards.page_of(people.user).items}
    assert shown["desk-1"].obstacle is None
    assert shown["desk-2"].obstacle == Obstacle.NO_PROCESSORS and shown["desk-2"].launchable
    assert "processors" in str(shown["desk-2"].notice)


def test_cpu_overcommit_of_a_paused_one_is_held_already(people: People, one_runs: list[int]) -> None:
    write({one_runs[0]: {"state": CloneState.PAUSED}})
    assert not actions.start(people.administrator, one_runs[1:]).done
    assert actions.start(people.administrator, one_runs[:1]).done


def test_starts_at_once_do_not_pass_the_limit_together(migrated_app: Flask) -> None:
    administrator = users.create(None, "root", "administrator")[0]
    request_clones(administrator, Request(make_base(make_nodes(1)), 6, "desk", "root"))
    change(Clone, state=CloneState.STOPPED)
    change(Node, cpus=2, cpu_overcommit=1.0)
    ids = list(db.session.scalars(select(Clone.id)))
    user_id, begin, started = administrator.id, threading.Barrier(6), []
    db.session.rollback()

    def starting(clone_id: int) -> Callable[[], None]:
        def run() -> None:
            with migrated_app.app_context():
                user = db.session.get_one(User, user_id)
                begin.wait(10)
                started.append(len(actions.start(user, [clone_id]).done))
                db.session.remove()

        return run

    threads = [threading.Thread(target=starting(clone_id)) for clone_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(started) == [0, 0, 0, 0, 1, 1]
    assert sorted(states().values()) == ["starting"] * 2 + ["stopped"] * 4


@pytest.mark.parametrize(
    ("table", "values", "obstacle"),
    [
        (Pool, {"free_mib": 10}, Obstacle.NO_SPACE),
        (Pool, {"active": False}, Obstacle.NO_POOL),
        (Node, {"memory_free_mib": 10}, Obstacle.NO_MEMORY),
        (Node, {"memory_free_mib": None}, Obstacle.NOT_KNOWN),
        (Node, {"cpu_overcommit": 0.0}, Obstacle.NO_PROCESSORS),
        (Node, {"service_state": ServiceState.DISABLED}, Obstacle.CLOSED),
        (Replica, {"state": ReplicaState.COPYING}, Obstacle.NO_BASE),
        (Replica, {"state": ReplicaState.FAILED}, Obstacle.NO_BASE),
    ],
)
def test_card_launch_and_start_of_many_say_the_same(
    people: People, desks: list[int], table: type, values: dict[str, object], obstacle: Obstacle
) -> None:
    change(table, **values)
    assert {card.obstacle for card in cards.page_of(people.user).items} == {obstacle}
    assert {skipped.obstacle for skipped in actions.start(people.administrator, desks).skipped} == {obstacle}
    node = db.session.get_one(Clone, desks[0]).node
    with refused(Conflict, "desktops.not_launched", why=cards.explain(obstacle, node)):
        launch(people.user, desks[0])


@pytest.mark.parametrize(
    ("table", "values", "says"),
    [
        (Pool, {"free_mib": 10}, "disk space"),
        (Node, {"memory_free_mib": 10}, "memory"),
        (Node, {"cpu_overcommit": 0.0}, "processors"),
        (Node, {"service_state": ServiceState.DISABLED}, "room"),
    ],
)
def test_a_new_desktop_is_refused_for_its_true_cause(
    people: People, table: type, values: dict[str, object], says: str
) -> None:
    base_id = make_base(make_nodes(2))
    change(Base, offered_to_all=True)
    change(table, **values)
    with pytest.raises(Conflict, match=says) as caught:
        launch_new(people.user, base_id)
    others = {"disk space", "memory", "processors"} - {says}
    assert not any(other in str(caught.value) for other in others)
