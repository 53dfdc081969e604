"""Quotas: whose value counts, what counts against it, what is said, and that two starts at once do not both pass."""

import threading
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select

from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.models import Base, Clone, CloneState, Node, Operation, OperationState, User
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.desktops.launching import launch, launch_new
from ravada_web.services.people import quotas
from ravada_web.services.people.quotas import Quota
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import change, make_base, make_group, make_nodes
from tests.support.refusals import refused


@pytest.fixture
def base_id(people: People) -> int:
    """A base of 1 GiB that is offered to everybody."""
    found = make_base(make_nodes(2), memory_mib=1024)
    change(Base, offered_to_all=True)
    return found


@pytest.fixture
def desks(people: People, base_id: int) -> list[int]:
    """Three desktops of the user, switched off."""
    request_clones(people.administrator, Request(base_id, 3, "desk", people.user.name))
    change(Clone, state=CloneState.STOPPED)
    change(Operation, state=OperationState.DONE)
    return list(db.session.scalars(select(Clone.id).order_by(Clone.id)))


def states() -> dict[int, str]:
    db.session.rollback()
    return dict(db.session.execute(select(Clone.id, Clone.state)).all())


def test_without_any_there_is_no_limit(people: People) -> None:
    assert quotas.quota_of(people.user) == Quota(None, None, None)


def test_the_largest_of_the_groups_counts_and_one_without_does_not(people: People) -> None:
    make_group("one", people.user, most_clones=2, most_running=1)
    make_group("two", people.user, most_clones=5)
    make_group("three", people.user)
    make_group("foreign", people.other, most_clones=99, most_memory_mib=1)
    assert quotas.quota_of(people.user) == Quota(5, 1, None)


def test_the_users_own_wins_whether_larger_or_smaller_and_though_it_is_none_at_all(people: People) -> None:
    make_group("one", people.user, most_clones=5, most_running=5, most_memory_mib=4096)
    change(User, User.id == people.user.id, most_clones=2, most_running=9, most_memory_mib=0)
    assert quotas.quota_of(people.user) == Quota(2, 9, 0)


def test_what_runs_or_is_about_to_counts_and_what_is_being_deleted_does_not(people: People, base_id: int) -> None:
    request_clones(people.administrator, Request(base_id, len(CloneState) + 1, "desk", people.user.name))
    ids = db.session.scalars(select(Clone.id).order_by(Clone.id)).all()
    with transaction() as session:
        for clone_id, state in zip(ids, CloneState, strict=False):
            session.get_one(Clone, clone_id).state = state
        waits = session.get_one(Clone, ids[-1])
        waits.state, waits.start_after = CloneState.CREATING, True
    # All but the one that is being deleted; and starting, running, paused, stopping, and the one that starts once made
    assert quotas.used_by(people.user) == Quota(len(CloneState), 5, 5 * 1024)


def test_a_start_up_to_the_limit_passes_and_the_next_is_refused(people: People, desks: list[int]) -> None:
    change(User, User.id == people.user.id, most_running=2)
    clone_actions.start(people.user, desks[:2])
    with refused(Conflict, "people.your_running_quota_reached", count=2, has=2):
        clone_actions.start(people.user, desks[2:]).require_some()
    assert states() == {desks[0]: "starting", desks[1]: "starting", desks[2]: "stopped"}


def test_of_three_at_once_as_many_start_as_may(people: People, desks: list[int]) -> None:
    change(User, User.id == people.user.id, most_running=2)
    outcome = clone_actions.start(people.user, desks)
    assert [row.id for row in outcome.done] == desks[:2]
    ((skipped),) = outcome.skipped
    assert (skipped.id, skipped.why.kind) == (desks[2], "people.your_running_quota_reached")
    assert sorted(states().values()) == ["starting", "starting", "stopped"]


def test_the_memory_of_what_runs_is_limited(people: People, desks: list[int]) -> None:
    change(User, User.id == people.user.id, most_memory_mib=2048)
    clone_actions.start(people.user, desks[:2])
    with refused(Conflict, "people.your_memory_quota_reached", has_mib=2048, most_mib=2048, more_mib=1024):
        clone_actions.start(people.user, desks[2:]).require_some()
    change(User, User.id == people.user.id, most_memory_mib=512)
    clone_actions.force_off(people.user, desks[:2])
    with refused(Conflict, "people.your_memory_quota", most_mib=512, more_mib=1024):
        clone_actions.start(people.user, desks[2:]).require_some()


def test_a_paused_one_holds_its_place_and_goes_on(people: People, desks: list[int]) -> None:
    change(User, User.id == people.user.id, most_running=1, most_memory_mib=1024)
    with transaction() as session:
        session.get_one(Clone, desks[0]).state = CloneState.PAUSED
    assert clone_actions.start(people.user, desks[:1]).done
    with refused(Conflict, "people.your_running_quota_reached", count=1, has=1):
        clone_actions.start(people.user, desks[1:2]).require_some()


def test_restarting_at_the_limit_is_no_new_start(people: People, desks: list[int]) -> None:
    change(User, User.id == people.user.id, most_running=1)
    with transaction() as session:
        session.get_one(Clone, desks[0]).state = CloneState.RUNNING
    assert clone_actions.restart(people.user, desks[:1]).done


def test_launching_is_refused_alike(people: People, desks: list[int]) -> None:
    change(User, User.id == people.user.id, most_running=1)
    launch(people.user, desks[0])
    with refused(Conflict, "people.your_running_quota_reached", count=1, has=1):
        launch(people.user, desks[1])


def test_a_new_one_counts_in_all_and_as_running_once_made(people: People, base_id: int) -> None:
    second = make_base(list(db.session.scalars(select(Node.id))), name="second", memory_mib=1024)
    change(Base, offered_to_all=True)
    change(User, User.id == people.user.id, most_clones=1)
    launch_new(people.user, base_id)
    with refused(Conflict, "people.your_clone_quota_reached", count=1):
        launch_new(people.user, second)
    change(User, User.id == people.user.id, most_clones=None, most_running=1)
    with refused(Conflict, "people.your_running_quota_reached", count=1, has=1):
        launch_new(people.user, second)
    change(User, User.id == people.user.id, most_running=None, most_memory_mib=1024)
    with refused(Conflict, "people.your_memory_quota_reached", has_mib=1024, most_mib=1024):
        launch_new(people.user, second)
    assert len(states()) == 1


def test_a_limit_of_none_at_all_is_said_so(people: People, base_id: int) -> None:
    change(User, User.id == people.user.id, most_clones=0)
    with refused(Conflict, "people.your_clone_quota", count=0, has=0, more=1):
        launch_new(people.user, base_id)


def test_who_controls_all_clones_acts_for_others_without_a_limit(people: People, desks: list[int]) -> None:
    change(User, User.id == people.user.id, most_clones=0, most_running=0, most_memory_mib=0)
    assert len(clone_actions.start(people.operator, desks).done) == 3
    base_id = db.session.scalars(select(Base.id)).one()
    request_clones(people.operator, Request(base_id, 2, "more", people.user.name, start_after=True))
    assert len(states()) == 5


def test_somebody_else_is_named(people: People, desks: list[int]) -> None:
    change(User, User.id == people.user.id, most_clones=3, most_running=0, most_memory_mib=0)
    cases: list[tuple[dict[str, int], str]] = [
        ({"new_clones": 1}, "people.their_clone_quota_reached"),
        ({"new_clones": 0, "starting": 1}, "people.their_running_quota"),
    ]
    for asked, kind in cases:
        with refused(Conflict, kind, name="user"):
            quotas.require(db.session(), people.user, actor=people.operator, **asked)


def test_two_starts_at_once_do_not_both_pass(app: Flask, people: People, desks: list[int]) -> None:
    change(User, User.id == people.user.id, most_running=1)
    user_id, begin, outcomes = people.user.id, threading.Barrier(2), []
    db.session.rollback()

    def start(clone_id: int) -> Callable[[], None]:
        def run() -> None:
            with app.app_context():
                user = db.session.get_one(User, user_id)
                begin.wait(10)
                outcomes.append(len(clone_actions.start(user, [clone_id]).done))
                db.session.remove()

        return run

    threads = [threading.Thread(target=start(clone_id)) for clone_id in desks[:2]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes) == [0, 1]
    assert sorted(states().values()) == ["starting", "stopped", "stopped"]
