"""Operators with a part of the house: what they know of and can touch, and that nothing else exists for them."""

from dataclasses import dataclass

import pytest
from sqlalchemy import select

from ravada_web.errors import Conflict, InvalidInput, NotAllowed, NotFound, RavadaError
from ravada_web.extensions import db
from ravada_web.models import (
    AllowedNode,
    Base,
    Clone,
    CloneState,
    Decision,
    Event,
    Node,
    Operation,
    OperationState,
    OperatorScope,
    Role,
    User,
)
from ravada_web.services.bases import listing as base_list
from ravada_web.services.bases import replicas
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.clones import requests as clone_requests
from ravada_web.services.clones.errors import NoRoom
from ravada_web.services.clones.requests import Request
from ravada_web.services.consoles import tickets
from ravada_web.services.desktops.launching import launch
from ravada_web.services.live import subscriptions
from ravada_web.services.nodes import listing as node_list
from ravada_web.services.operations import listing as operation_list
from ravada_web.services.operations import requests as operation_requests
from ravada_web.services.people import groups, operator_scopes, users
from ravada_web.services.permissions import scopes
from ravada_web.services.sign_in import sessions
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import make_base, make_nodes


@dataclass
class House:
    """Nodes n1, n2, n3; base left on n1 and n2, base right on n2 and n3; a clone of each base on each of its nodes,
    and one operation that works on each; all by their ids. The clones' names say where they are."""

    n1: int
    n2: int
    n3: int
    left: int
    right: int
    clones: dict[str, int]
    operations: dict[str, int]


@pytest.fixture
def house(people: People) -> House:
    n1, n2, n3 = make_nodes(3)
    left, right = make_base([n1, n2], name="left"), make_base([n2, n3], name="right")
    for name, base in (("left", left), ("right", right)):
        clone_requests.request_clones(people.administrator, Request(base, 2, name, people.user.name))
    with transaction() as session:
        for clone in session.scalars(select(Clone)):
            clone.name = f"{clone.base.name}-{clone.node.name}"
            clone.state = CloneState.STOPPED
        for operation in session.scalars(select(Operation)):
            operation.state, operation.error = OperationState.FAILED, "it failed"
    found = dict(db.session.execute(select(Clone.name, Clone.id)).all())
    works = dict(db.session.execute(select(Clone.name, Clone.operation_id)).all())
    assert sorted(found) == ["left-n1", "left-n2", "right-n2", "right-n3"]
    assert len(set(works.values())) == 4
    return House(n1, n2, n3, left, right, found, works)


def give(people: People, *, node_ids: tuple[int, ...] = (), base_ids: tuple[int, ...] = ()) -> User:
    operator_scopes.set_scope(people.administrator, people.operator, node_ids, base_ids)
    return people.operator


def seen(viewer: User) -> tuple[list[str], list[str], list[str]]:
    """The names of the clones, bases and nodes that the viewer is shown."""
    rows = clone_list.listing(viewer, clone_list.Filters()).items
    return (
        sorted(clone.name for clone in rows),
        [row.base.name for row in base_list.listing(viewer)],
        [row.node.name for row in node_list.listing(viewer)],
    )


EVERYTHING = (["left-n1", "left-n2", "right-n2", "right-n3"], ["left", "right"], ["n1", "n2", "n3"])


def test_an_operator_who_is_given_nothing_in_particular_sees_all(people: People, house: House) -> None:
    assert seen(people.operator) == seen(people.administrator) == EVERYTHING


def test_a_base_brings_its_clones_and_the_nodes_that_it_is_allowed_on(people: People, house: House) -> None:
    operator = give(people, base_ids=(house.left,))
    assert seen(operator) == (["left-n1", "left-n2"], ["left"], ["n1", "n2"])


def test_a_node_brings_what_is_on_it_and_the_bases_allowed_there(people: People, house: House) -> None:
    operator = give(people, node_ids=(house.n2,))
    assert seen(operator) == (["left-n2", "right-n2"], ["left", "right"], ["n2"])
    operator = give(people, node_ids=(house.n1,))
    assert seen(operator) == (["left-n1"], ["left"], ["n1"])


def test_a_base_and_a_node_bring_what_either_does(people: People, house: House) -> None:
    operator = give(people, base_ids=(house.left,), node_ids=(house.n3,))
    assert seen(operator) == (["left-n1", "left-n2", "right-n3"], ["left", "right"], ["n1", "n2", "n3"])


def test_administrators_see_all_whatever_rows_there_are(people: People, house: House) -> None:
    with transaction() as session:
        session.add(OperatorScope(user_id=people.administrator.id, node_id=house.n1))
    assert seen(people.administrator) == EVERYTHING


def test_users_gain_nothing_by_rows_of_theirs(people: People, house: House) -> None:
    with transaction() as session:
        session.add(OperatorScope(user_id=people.other.id, base_id=house.left))
    assert clone_list.listing(people.other, clone_list.Filters()).total == 0
    assert base_list.listing(people.other) == [] and node_list.listing(people.other) == []
    with pytest.raises(NotFound):
        base_list.get(people.other, house.left)
    with pytest.raises(NotFound):
        node_list.get(people.other, house.n1)


def test_ones_own_clones_are_always_seen_and_launched(people: People, house: House) -> None:
    operator = give(people, base_ids=(house.left,))
    with transaction() as session:
        session.get_one(Clone, house.clones["right-n3"]).owner_id = operator.id
    assert clone_list.get(operator, house.clones["right-n3"]).name == "right-n3"
    assert launch(operator, house.clones["right-n3"]).state == CloneState.STARTING


def test_a_foreign_clone_does_not_exist_and_is_not_touched(people: People, house: House) -> None:
    operator = give(people, base_ids=(house.left,))
    foreign, mine = house.clones["right-n2"], house.clones["left-n2"]
    with pytest.raises(NotFound):
        clone_list.get(operator, foreign)
    with pytest.raises(NotFound):
        clone_list.many(operator, [mine, foreign])
    for act in (
        clone_actions.start,
        clone_actions.shut_down,
        clone_actions.force_off,
        clone_actions.restart,
        clone_actions.delete,
    ):
        with pytest.raises(NotFound):
            act(operator, [foreign])
    with pytest.raises(NotFound):
        launch(operator, foreign)
    db.session.rollback()
    assert set(db.session.scalars(select(Clone.state))) == {CloneState.STOPPED}
    outcome = clone_actions.start(operator, [mine, foreign])
    assert [row.id for row in outcome.done] == [mine]
    # What is said of it is what is said of one that there never was.
    assert [(row.name, row.why.kind) for row in outcome.skipped] == [(f"#{foreign}", "clones.why_gone")]
    db.session.rollback()
    assert db.session.get_one(Clone, foreign).state == CloneState.STOPPED


def test_names_are_found_by_the_same_rights_as_ids(people: People, house: House) -> None:
    operator = give(people, base_ids=(house.left,))
    assert clone_list.by_name(operator, "left-n2").id == house.clones["left-n2"]
    assert base_list.by_name(operator, "left").id == house.left
    assert node_list.by_name(operator, "n1").id == house.n1
    assert users.by_name(operator, "user").id == people.user.id
    for viewer, by_name, name in (
        (operator, clone_list.by_name, "right-n2"),
        (operator, base_list.by_name, "right"),
        (operator, node_list.by_name, "n3"),
        (operator, users.by_name, "other"),
        (people.other, clone_list.by_name, "left-n2"),
        (people.other, base_list.by_name, "left"),
        (people.other, node_list.by_name, "n1"),
    ):
        with pytest.raises(NotFound, match=name):
            by_name(viewer, name)
    for find in (users.by_name, groups.by_name):
        with pytest.raises(NotAllowed):
            find(people.other, "other")
        with pytest.raises(NotFound, match="ghost"):
            find(operator, "ghost")


def test_operations_are_found_together_or_not_at_all(people: People, house: House) -> None:
    operator = give(people, base_ids=(house.left,))
    mine = [house.operations["left-n1"], house.operations["left-n2"]]
    assert [row.id for row in operation_list.many(operator, mine[::-1])] == sorted(mine)
    with pytest.raises(NotFound):
        operation_list.many(operator, [*mine, house.operations["right-n3"]])


def test_a_console_opens_on_ones_part_alone(people: People, house: House) -> None:
    operator = give(people, base_ids=(house.left,))
    sessions.begin(operator, "192.0.2.1", "a test")
    sign_in = sessions.listing(operator)[0].id
    with transaction() as session:
        for clone in session.scalars(select(Clone)):
            clone.state = CloneState.RUNNING
    with pytest.raises(NotFound):
        tickets.issue(operator, sign_in, house.clones["right-n2"])
    assert tickets.issue(operator, sign_in, house.clones["left-n1"])


def test_a_foreign_base_or_node_does_not_exist(people: People, house: House) -> None:
    operator = give(people, base_ids=(house.left,))
    with pytest.raises(NotFound):
        base_list.get(operator, house.right)
    with pytest.raises(NotFound):
        node_list.get(operator, house.n3)
    assert base_list.get(operator, house.left).name == "left"
    assert node_list.get(operator, house.n2).name == "n2"
    assert [base.name for base in base_list.cloneable(operator)] == ["left"]
    assert node_list.page(operator, "n3").total == 0 and node_list.page(operator, "n").total == 2


def test_a_bases_tab_names_known_nodes_alone(people: People, house: House) -> None:
    operator = give(people, node_ids=(house.n1,))
    base = base_list.get(operator, house.left)
    assert [row.node.name for row in base_list.tab(operator, base)] == ["n1"]
    assert [row.node.name for row in base_list.tab(people.administrator, base)] == ["n1", "n2", "n3"]


def test_live_topics_are_of_ones_part(people: People, house: House) -> None:
    operator = give(people, base_ids=(house.left,))
    token = sessions.begin(operator, "192.0.2.1", "a test")
    hidden = (f"node-{house.n3}", f"base-{house.right}", f"clone-{house.clones['right-n3']}")
    for topic in (*hidden, f"operation-{house.operations['right-n3']}"):
        with pytest.raises(NotFound):
            subscriptions.subscribe(token, [topic])
    assert subscriptions.subscribe(token, [f"node-{house.n1}", f"base-{house.left}"])


def titles(viewer: User) -> list[int]:
    return sorted(row.id for row in operation_list.listing(viewer, operation_list.Filters()).items)


def test_operations_are_those_about_known_nodes_and_bases_and_ones_own(people: People, house: House) -> None:
    operator = give(people, base_ids=(house.left,))
    works = house.operations
    assert titles(operator) == sorted([works["left-n1"], works["left-n2"]])
    assert operation_list.summary(operator) == {"failed": 2}
    for foreign in ("right-n2", "right-n3"):
        with pytest.raises(NotFound):
            operation_list.get(operator, works[foreign])
    with transaction() as session:
        session.get_one(Operation, works["right-n3"]).user_id = operator.id
    assert operation_list.get(operator, works["right-n3"]).id == works["right-n3"]
    assert len(titles(people.administrator)) == 4


def test_operations_are_controlled_where_all_they_are_about_is_of_ones_part(people: People, house: House) -> None:
    operator = give(people, base_ids=(house.left,))
    works = house.operations
    for control in (operation_requests.retry, operation_requests.cancel):
        for missing in (works["right-n3"], works["right-n2"], 9999):
            with pytest.raises(NotFound):
                control(operator, [missing])
            with pytest.raises(NotFound):
                control(operator, [works["left-n1"], missing])
    assert operation_requests.retry(operator, [works["left-n1"]]).count == 1
    assert operation_requests.cancel(operator, [works["left-n1"]]) == 1


def test_a_start_of_foreign_clones_on_a_known_node_is_not_cancelled(people: People, house: House) -> None:
    clone_actions.start(people.administrator, [house.clones["right-n2"]])
    started = db.session.get_one(Clone, house.clones["right-n2"]).operation_id or 0
    operator = give(people, base_ids=(house.left,))
    with pytest.raises(NotFound):
        operation_requests.cancel(operator, [started])
    assert db.session.get_one(Operation, started).state == OperationState.WAITING
    assert operation_requests.cancel(give(people, node_ids=(house.n2,)), [started]) == 1


def test_clones_are_asked_of_known_bases(people: People, house: House) -> None:
    operator = give(people, base_ids=(house.left,))
    with pytest.raises(InvalidInput) as refused:
        clone_requests.request_clones(operator, Request(house.right, 1, "new", people.user.name))
    assert list(refused.value.fields) == ["base_id"]
    clone_requests.request_clones(operator, Request(house.left, 4, "new", people.user.name))
    assert len(clone_list.listing(operator, clone_list.Filters(search="new-")).items) == 4


def test_clones_are_put_where_who_asked_for_them_sees_them(people: People, house: House) -> None:
    operator = give(people, node_ids=(house.n1,))
    decision = clone_requests.request_clones(operator, Request(house.left, 6, "new", people.user.name))
    placed = db.session.scalars(select(Clone.node_id).where(Clone.decision_id == decision.id))
    assert set(placed) == {house.n1}
    with transaction() as session:
        session.get_one(Node, house.n1).runs_clones = False
    with pytest.raises(NoRoom) as refused:
        clone_requests.request_clones(operator, Request(house.left, 1, "more", people.user.name))
    assert [verdict.node_name for verdict in refused.value.decision.verdicts] == ["n1"]


def test_the_reasons_of_a_placement_name_known_nodes_alone(people: People, house: House) -> None:
    clone = db.session.get_one(Clone, house.clones["left-n1"])

    def named(viewer: User) -> list[str]:
        return [verdict["node_name"] for verdict in (clone_list.why(viewer, clone) or {})["verdicts"]]

    assert named(people.administrator) == ["n1", "n2", "n3"]
    assert named(give(people, node_ids=(house.n1,))) == ["n1"]
    assert len(db.session.scalars(select(Decision)).all()[0].roster.nodes) == 3


def test_who_loses_the_last_of_a_part_is_not_given_all(people: People, house: House) -> None:
    operator = give(people, base_ids=(house.left,))
    with transaction() as session:
        for clone in session.scalars(select(Clone).where(Clone.base_id == house.left)):
            session.delete(clone)
        session.flush()
        session.delete(session.get_one(Base, house.left))
    assert seen(operator) == ([], [], [])
    operator_scopes.clear_scope(people.administrator, operator)
    assert seen(operator) == (["right-n2", "right-n3"], ["right"], ["n1", "n2", "n3"])


def test_a_base_that_is_unticked_takes_its_nodes_along(people: People, house: House) -> None:
    operator = give(people, base_ids=(house.left,))
    with transaction() as session:
        session.delete(session.get_one(AllowedNode, (house.left, house.n1)))
    assert seen(operator)[2] == ["n2"]


def test_giving_anew_replaces_and_is_written_down(people: People, house: House) -> None:
    give(people, base_ids=(house.left,), node_ids=(house.n3,))
    operator = give(people, node_ids=(house.n1, house.n2))
    assert scopes.of(operator) == scopes.Scope(frozenset({house.n1, house.n2}), frozenset())
    operator_scopes.clear_scope(people.administrator, operator)
    lines = db.session.scalars(select(Event.text).where(Event.action == "give_part").order_by(Event.id)).all()
    assert [str(line) for line in lines] == ["1 base and 1 node", "2 nodes", "everything"]


def test_what_cannot_be_given_is_refused(people: People, house: House) -> None:
    cases: list[tuple[tuple[int, ...], tuple[int, ...], str]] = [
        ((99,), (), "nodes"),
        ((), (99,), "bases"),
        ((), (), "part"),
    ]
    for node_ids, base_ids, field in cases:
        with pytest.raises(InvalidInput) as refused:
            give(people, node_ids=node_ids, base_ids=base_ids)
        assert list(refused.value.fields) == [field]
    for person in (people.user, people.administrator):
        with pytest.raises(Conflict, match="is not an operator"):
            operator_scopes.set_scope(people.administrator, person, [house.n1], [])
        with pytest.raises(Conflict, match="is not an operator"):
            operator_scopes.clear_scope(people.administrator, person)
    for actor in (people.user, people.operator):
        with pytest.raises(NotAllowed):
            operator_scopes.set_scope(actor, people.operator, [house.n1], [])
        with pytest.raises(NotAllowed):
            operator_scopes.clear_scope(actor, people.operator)
    assert scopes.of(people.operator) is None


def test_nobody_who_is_switched_off_sees_anything(people: People, house: House) -> None:
    operator = give(people, base_ids=(house.left,))
    with transaction():
        operator.active = False
    assert seen(operator) == ([], [], [])
    with transaction():
        operator.active, operator.role = True, Role.USER
    with pytest.raises(RavadaError):
        operation_list.listing(operator, operation_list.Filters())


def test_a_nodes_bases_are_those_that_the_operator_is_given(people: People) -> None:
    both = make_nodes(2)
    left, right = make_base(both, name="left"), make_base(both[:1], name="Right")
    clone_requests.request_clones(people.administrator, Request(left, 2, "desk", people.user.name))
    first, second = (db.session.get_one(Node, node_id) for node_id in both)
    rows = [(row.replica.version.base_id, row.clones) for row in replicas.on_node(people.administrator, first)]
    assert rows == [(left, 1), (right, 0)]
    operator_scopes.set_scope(people.administrator, people.operator, [], [right])
    assert [row.replica.version.base_id for row in replicas.on_node(people.operator, first)] == [right]
    assert replicas.on_node(people.operator, second) == []


def test_whether_a_user_outside_of_the_scope_exists_is_not_told(people: People, house: House) -> None:
    """Neither by a request for them, nor by what a list filtered by their name leaves out."""
    operator = give(people, base_ids=(house.left,))
    name = people.user.name
    stranger = users.create(None, name[:2], Role.USER)[0].name
    said = []
    for owner in (stranger, stranger.upper(), "nobody-at-all"):
        with pytest.raises(InvalidInput) as refused:
            clone_requests.request_clones(operator, Request(house.left, 1, "mine", owner))
        said.append(refused.value.fields)
    assert said[0] == said[1] == said[2]
    assert clone_requests.request_clones(operator, Request(house.left, 1, "mine", name))
    for text in (stranger, name[:3]):
        found = clone_list.listing(operator, clone_list.Filters(owner=text)).items
        assert {clone.owner.name for clone in found} == {name}
