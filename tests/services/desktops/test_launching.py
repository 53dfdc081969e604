"""Launching: what starts, what is left alone, what is made, for whom; and what stands in the way, in a user's words."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from ravada_web.errors import Conflict, NotFound
from ravada_web.extensions import db
from ravada_web.messages import message, text
from ravada_web.models import (
    AllowedNode,
    Base,
    Clone,
    CloneState,
    Node,
    Observed,
    Operation,
    OperationState,
    ServiceState,
    Trust,
    User,
    now,
)
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones.requests import PREFIX, Request, request_clones
from ravada_web.services.consoles import screenshots
from ravada_web.services.desktops import cards
from ravada_web.services.desktops.launching import launch, launch_new, prefix
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import change, make_base, make_nodes, make_offer, make_operation
from tests.support.refusals import refused


@pytest.fixture
def base_id(people: People) -> int:
    """A base on two nodes that is offered to everybody."""
    found = make_base(make_nodes(2))
    change(Base, offered_to_all=True)
    return found


@pytest.fixture
def desk(people: People, base_id: int) -> int:
    """The user's desktop of that base, switched off."""
    request_clones(people.administrator, Request(base_id, 1, "desk", people.user.name))
    change(Clone, state=CloneState.STOPPED)
    change(Operation, state=OperationState.DONE)
    return db.session.scalars(select(Clone.id)).one()


def fresh(clone_id: int) -> Clone:
    db.session.rollback()
    return db.session.get_one(Clone, clone_id)


def kinds() -> list[str]:
    """The kinds of the operations that wait, oldest first."""
    db.session.rollback()
    waiting = select(Operation.kind).where(Operation.state == OperationState.WAITING).order_by(Operation.id)
    return list(db.session.scalars(waiting))


def test_a_desktop_that_is_off_starts(people: People, desk: int) -> None:
    assert launch(people.user, desk).id == desk
    assert fresh(desk).state == CloneState.STARTING
    assert kinds() == ["clones_start"]


def test_a_paused_one_goes_on_though_its_node_is_full(people: People, desk: int) -> None:
    change(Clone, state=CloneState.PAUSED)
    change(Node, memory_free_mib=0)
    launch(people.user, desk)
    assert fresh(desk).state == CloneState.STARTING
    assert kinds() == ["clones_start"]


@pytest.mark.parametrize("state", [CloneState.RUNNING, CloneState.STARTING])
def test_what_runs_or_starts_is_left(people: People, desk: int, state: CloneState) -> None:
    change(Clone, state=state)
    assert launch(people.user, desk).id == desk
    assert (fresh(desk).state, kinds()) == (state, [])


def test_one_that_is_made_and_will_start_by_itself_is_left(people: People, desk: int) -> None:
    change(Clone, state=CloneState.CREATING, start_after=True)
    assert launch(people.user, desk).id == desk
    change(Clone, start_after=False)
    with refused(Conflict, "desktops.being_created", name="desk-1"):
        launch(people.user, desk)


@pytest.mark.parametrize(
    ("state", "start_after", "starts"),
    [(CloneState.STOPPING, False, True), (CloneState.MOVING, True, True), (CloneState.MOVING, False, False)],
)
def test_one_that_is_shut_down_to_be_moved_comes_by_itself(
    people: People, desk: int, state: CloneState, start_after: bool, starts: bool
) -> None:
    operation = make_operation("clones_move")
    change(Clone, state=state, start_after=start_after, operation_id=operation.id)
    (card,) = cards.page_of(people.user).items
    assert (card.restarts, card.opens) == (starts, starts)
    if starts:
        assert launch(people.user, desk).state == state
    else:
        with pytest.raises(Conflict):
            launch(people.user, desk)


def test_one_that_restarts_is_left_but_one_that_shuts_down_is_not_caught(people: People, desk: int) -> None:
    change(Clone, state=CloneState.RUNNING)
    clone_actions.restart(people.user, [desk])
    assert launch(people.user, desk).state == CloneState.STOPPING
    change(Clone, state=CloneState.RUNNING)
    clone_actions.shut_down(people.user, [desk])
    with refused(Conflict, "desktops.shutting_down", name="desk-1"):
        launch(people.user, desk)


def test_a_foreign_one_does_not_exist_for_a_user_but_an_operator_may(people: People, desk: int) -> None:
    with pytest.raises(NotFound):
        launch(people.other, desk)
    assert fresh(desk).state == CloneState.STOPPED
    assert launch(people.operator, desk).state == CloneState.STARTING


OBSTACLES = [
    ({"observed": Observed.DOWN, "reason": "SSH does not answer."}, "away"),
    ({"observed": Observed.DEGRADED, "reason": "libvirt does not answer."}, "away"),
    ({"trust": Trust.CHANGED}, "quarantined"),
    ({"service_state": ServiceState.DRAINING}, "closed"),
    ({"service_state": ServiceState.DISABLED}, "closed"),
    ({"memory_free_mib": 100}, "no_memory"),
]


@pytest.mark.parametrize(("values", "obstacle"), OBSTACLES)
def test_what_keeps_it_from_starting_is_said_in_the_users_words(
    people: People, desk: int, values: dict[str, object], obstacle: str
) -> None:
    change(Node, **values)
    why = message(f"desktops.obstacle_{obstacle}")
    with refused(Conflict, "desktops.not_launched", name="desk-1", why=why):
        launch(people.user, desk)
    assert not any(word in str(why) for word in ("n1", "n2", "SSH", "libvirt", "MiB"))
    assert (fresh(desk).state, kinds()) == (CloneState.STOPPED, [])
    (card,) = cards.page_of(people.user).items
    assert card.notice == why
    assert card.launchable == (obstacle == "no_memory")


def test_a_broken_one_and_one_whose_node_is_gone(people: People, desk: int) -> None:
    change(Clone, state=CloneState.FAILED, reason="No space left on device")
    with refused(Conflict, "desktops.broken", name="desk-1", why=text("No space left on device")):
        launch(people.user, desk)
    change(Clone, state=CloneState.UNREACHABLE, reason="Its node n1 is down.")
    with refused(Conflict, "desktops.not_launched", why=message("desktops.obstacle_away")):
        launch(people.user, desk)


def test_one_click_makes_a_desktop_and_starts_it(people: People, base_id: int) -> None:
    made = launch_new(people.user, base_id)
    assert (made.name, made.owner_id, made.volatile, made.start_after) == ("linux-user-1", people.user.id, False, True)
    assert made.state == CloneState.REQUESTED
    assert kinds() == ["clones_create"]


def test_it_is_volatile_where_the_base_says_so(people: People, base_id: int) -> None:
    change(Base, offers_volatile=True)
    assert launch_new(people.user, base_id).volatile


def test_a_second_click_leads_to_the_one_that_exists_and_starts_it(people: People, base_id: int) -> None:
    first = launch_new(people.user, base_id).id
    assert launch_new(people.user, base_id).id == first
    change(Clone, state=CloneState.STOPPED)
    assert launch_new(people.user, base_id).id == first
    assert fresh(first).state == CloneState.STARTING
    assert launch_new(people.other, base_id).id != first


def test_two_clicks_at_once_make_one(app: Flask, people: People, base_id: int) -> None:
    user_id = people.user.id

    def click(_number: int) -> int:
        with app.app_context():
            found = launch_new(db.session.get_one(User, user_id), base_id).id
            db.session.remove()
            return found

    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(click, range(4)))
    db.session.rollback()
    assert len(found) == 1
    assert db.session.scalar(select(func.count()).select_from(Clone)) == 1


def test_one_that_is_being_deleted_stands_in_nobodys_way(people: People, base_id: int) -> None:
    first = launch_new(people.user, base_id).id
    change(Clone, state=CloneState.DELETING)
    assert [base.id for base in cards.new_offers(people.user)] == [base_id]
    second = launch_new(people.user, base_id)
    assert second.id != first
    assert cards.new_offers(people.user) == []


def test_a_base_that_is_not_offered_does_not_exist(people: People, base_id: int) -> None:
    change(Base, offered_to_all=False)
    for person in (people.user, people.other):
        with pytest.raises(NotFound):
            launch_new(person, base_id)
    make_offer(base_id, people.user)
    assert launch_new(people.user, base_id).owner_id == people.user.id
    with pytest.raises(NotFound):
        launch_new(people.other, base_id)
    with pytest.raises(NotFound):
        launch_new(people.user, 99)


def test_no_room_is_said_in_the_users_words_and_without_a_node_nothing_is_offered(people: People, base_id: int) -> None:
    change(Node, memory_free_mib=100)
    with refused(Conflict, "desktops.no_room_no_memory", base="linux"):
        launch_new(people.user, base_id)
    with transaction() as session:
        for tick in session.scalars(select(AllowedNode)):
            session.delete(tick)
    with refused(NotFound, "bases.no_such"):
        launch_new(people.user, base_id)
    assert db.session.scalar(select(func.count()).select_from(Clone)) == 0


@given(st.text(min_size=0, max_size=63), st.text(max_size=64), st.integers(1, 10**9))
def test_every_name_gives_a_prefix_that_is_one(base: str, user: str, number: int) -> None:
    found = prefix(Base(name=base), User(id=number, name=user))
    assert PREFIX.fullmatch(found), found


@pytest.mark.parametrize(
    ("base", "user", "expected"),
    [
        ("Debian 12 (KDE)", "José.Müller@example.org", "debian-12-kde-jose-muller-example-org"),
        ("x" * 63, "y" * 63, "x" * 20 + "-" + "y" * 19),
        ("设计", "Ольга", "desktop-user7"),
        ("<script>", "-- DROP TABLE", "script-drop-table"),
        ("a" * 19 + " b", "c", "a" * 19 + "-c"),
    ],
)
def test_uncommon_names(base: str, user: str, expected: str) -> None:
    assert prefix(Base(name=base), User(id=7, name=user)) == expected


def test_a_card_says_how_far_it_is(people: People, base_id: int) -> None:
    made = launch_new(people.user, base_id).id

    def step() -> int | None:
        db.session.rollback()
        return cards.page_of(people.user).items[0].step

    assert step() == 0
    change(Clone, state=CloneState.STOPPED, start_after=False)
    assert step() is None
    launch(people.user, made)
    assert step() == 0
    change(Operation, state=OperationState.RUNNING)
    assert step() == 1
    change(Clone, state=CloneState.RUNNING)
    assert step() is None
    clone_actions.restart(people.user, [made])
    (card,) = cards.page_of(people.user).items
    assert (card.step, card.restarts, card.opens) == (0, True, True)


def test_a_start_that_failed_is_told(people: People, desk: int) -> None:
    change(Clone, reason="internal error: qemu unexpectedly closed the monitor")
    (card,) = cards.page_of(people.user).items
    assert card.notice.kind == "desktops.last_start_failed"
    assert card.launchable


def test_only_a_screen_that_is_on_is_shown(people: People, desk: int) -> None:
    screenshots.store(desk, b"webp")
    assert cards.page_of(people.user).items[0].picture is None
    change(Clone, state=CloneState.RUNNING)
    assert abs((cards.page_of(people.user).items[0].picture or 0) - now().timestamp()) < 60


def test_searching_and_pages(people: People, base_id: int) -> None:
    request_clones(people.administrator, Request(base_id, 61, "many", people.user.name))
    first, second = cards.page_of(people.user), cards.page_of(people.user, page=2)
    assert (len(first.items), len(second.items), first.pages) == (60, 1, 2)
    assert [card.clone.name for card in cards.page_of(people.user, "many-61").items] == ["many-61"]
    assert cards.page_of(people.user, "LINUX").total == 61
    assert cards.page_of(people.user, "%").total == 0
    assert cards.page_of(people.other).total == 0
