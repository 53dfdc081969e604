"""Rebalancing, from the rows: what is proposed, what is begun of it, what has grown stale, and when it begins by
itself."""

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from ravada_web.errors import Conflict, InvalidInput, NotAllowed
from ravada_web.extensions import db
from ravada_web.messages import Message
from ravada_web.models import (
    AllowedNode,
    Cause,
    Clone,
    CloneState,
    Cluster,
    Decision,
    Event,
    MovePlan,
    MoveState,
    Node,
    Observed,
    Operation,
    PlanKind,
    PlannedMove,
    PlanState,
    Role,
    ServiceState,
    User,
    now,
)
from ravada_web.platforms import Host
from ravada_web.services.clones import remains
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.moves import plan_work, plans, rebalancing, rebalancing_rules
from ravada_web.services.moves.rebalancing_rules import Rules
from ravada_web.services.nodes.platforms import store_platform
from ravada_web.services.transaction import transaction
from tests.services.bases.test_migration import DEBIAN_12, DEBIAN_13
from tests.support.factories import change, make_base, make_nodes, make_operation, make_user
from tests.web.test_safety import counted_queries

one = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
EVERY_MINUTE = Rules(at_once=2, rest_hours=24, over=30, minutes=3)


@pytest.fixture
def chief(migrated_app: Flask) -> User:
    return make_user("chief", Role.ADMINISTRATOR)


@pytest.fixture
def nodes(chief: User) -> list[int]:
    """Three nodes; six clones that are off stand on the first two, the third has joined just now."""
    ids = make_nodes(3)
    change(Node, Node.id == ids[2], service_state=ServiceState.DISABLED)
    request_clones(chief, Request(make_base(ids), 6, "pc", chief.name))
    change(Clone, state=CloneState.STOPPED)
    change(Operation, state="done")
    change(Node, service_state=ServiceState.ENABLED)
    return ids


def fresh() -> None:
    db.session.rollback()


def proposed(chief: User) -> list[tuple[str, str, str]]:
    fresh()
    return [(move.clone.name, move.source, move.target) for move in rebalancing.propose(chief).moves]


def choices(chief: User) -> list[str]:
    fresh()
    return [move.choice for move in rebalancing.propose(chief).moves]


def arrive(plan_id: int) -> None:
    """Have the moves that are under way end, as the worker would."""
    with transaction() as session:
        moves = session.scalars(select(PlannedMove).where(PlannedMove.state == MoveState.UNDER_WAY)).all()
        for move in moves:
            operation = session.get_one(Operation, move.operation_id)
            operation.state = "done"
            session.execute(
                update(Clone)
                .where(Clone.id == move.clone_id)
                .values(
                    node_id=move.to_id,
                    state=CloneState.STOPPED,
                    operation_id=None,
                    decision_id=operation.params["decision_id"],
                )
            )
        remains_ids = select(remains.Remains.id).where(remains.Remains.cause == Cause.ARRIVING)
        for row in session.scalars(select(remains.Remains).where(remains.Remains.id.in_(remains_ids))):
            session.delete(row)
    plan_work.go_on([plan_id])


@one
def test_an_empty_node_is_given_its_share(chief: User, nodes: list[int]) -> None:
    proposal = rebalancing.propose(chief)
    assert sorted(move.target for move in proposal.moves) == ["n3", "n3"]
    assert sorted(move.source for move in proposal.moves) == ["n1", "n2"]
    assert str(proposal.moves[0].reason) in {f"{node} has 3 desktops, n3 has 0." for node in ("n1", "n2")}
    assert proposal.before > 0.5
    assert proposal.after == 0
    assert [(one.name, one.before.clones, one.after.clones) for one in proposal.nodes] == [
        ("n1", 3, 2),
        ("n2", 3, 2),
        ("n3", 0, 2),
    ]
    fresh()
    assert db.session.scalar(select(MovePlan.id)) is None, "nothing is written for looking"


def test_what_is_begun_is_done_and_then_the_nodes_are_balanced(chief: User, nodes: list[int]) -> None:
    plan_id = rebalancing.begin(chief, choices(chief), 1).id
    plan_work.go_on([plan_id])
    fresh()
    assert db.session.scalars(select(Clone.state)).all().count(CloneState.MOVING) == 1, "no more than that at once"
    assert proposed(chief) == [], "what is on its way counts where it goes, and the rest of the plan is left to it"
    for _ in range(2):
        arrive(plan_id)
    fresh()
    plan = plans.get(chief, plan_id)
    assert (plan.kind, plan.state) == (PlanKind.REBALANCE, PlanState.DONE)
    assert str(Message.from_json(plan.picture["why"])) == "as chief asked"
    assert proposed(chief) == []
    assert db.session.scalar(select(Event.actor).where(Event.action == "rebalance")) == "chief"


@one
def test_single_moves_may_be_left_out(chief: User, nodes: list[int]) -> None:
    wanted = choices(chief)[1:]
    plan = rebalancing.begin(chief, [*wanted, *wanted], 4)
    assert [f"{move.clone_id}-{move.from_id}-{move.to_id}-0" for move in plans.page_of(plan).items] == wanted


def test_an_old_plan_is_refused_with_what_has_changed(chief: User, nodes: list[int]) -> None:
    seen = choices(chief)
    change(Clone, Clone.id == int(seen[0].split("-")[0]), state=CloneState.RUNNING)
    with pytest.raises(InvalidInput) as refusal:
        rebalancing.begin(chief, seen, 4)
    assert "The cluster has changed: 1 of the selected moves no longer helps" in str(refusal.value.fields["move"])
    fresh()
    assert db.session.scalar(select(MovePlan.id)) is None


@one
def test_what_is_no_move_of_the_plan_is_refused(chief: User, nodes: list[int]) -> None:
    for wrong in ("", "x", "1-2-3", "1-2-3-4-5", "99999-1-2-0", "-1-2-3-0", "1" * 40 + "-1-2-0"):
        with pytest.raises(InvalidInput) as refusal:
            rebalancing.begin(chief, [wrong], 4)
        assert list(refusal.value.fields) == ["move"], wrong


@one
def test_what_cannot_be_begun_says_why(chief: User, nodes: list[int]) -> None:
    seen = choices(chief)
    for at_once in (0, 51, -1):
        with pytest.raises(InvalidInput) as refusal:
            rebalancing.begin(chief, seen, at_once)
        assert list(refusal.value.fields) == ["at_once"]
    with pytest.raises(InvalidInput):
        rebalancing.begin(chief, [], 4)
    rebalancing.begin(chief, seen, 4)
    with pytest.raises(Conflict):
        rebalancing.begin(chief, seen, 4)
    with pytest.raises(NotAllowed):
        rebalancing.propose(make_user("oper", Role.OPERATOR))


def test_a_moved_desktop_rests(chief: User, nodes: list[int]) -> None:
    base_id = db.session.scalars(select(Clone.base_id)).first()
    with transaction() as session:
        clone = session.scalars(select(Clone).where(Clone.node_id == nodes[0])).first()
        old = session.get_one(Decision, clone.decision_id)
        moved = Decision(base_id=base_id, user_id=None, count=1, roster_id=old.roster_id, verdicts=old.verdicts)
        session.add(moved)
        session.flush()
        session.execute(update(Clone).where(Clone.node_id == nodes[0]).values(decision_id=moved.id))
    assert {source for _name, source, _target in proposed(chief)} == {"n2"}
    change(Cluster, rebalance_rest_hours=0)
    assert {source for _name, source, _target in proposed(chief)} == {"n1", "n2"}
    change(Cluster, rebalance_rest_hours=2)
    change(Decision, made_at=now() - timedelta(hours=3))
    assert {source for _name, source, _target in proposed(chief)} == {"n1", "n2"}


@one
def test_desktops_go_only_where_their_base_may_and_none_is_left_of_them(chief: User, nodes: list[int]) -> None:
    with transaction() as session:
        for clone in session.scalars(select(Clone).where(Clone.node_id == nodes[0])):
            session.add(remains.of_clone(clone, nodes[2], "/pool", Cause.MOVED))
    assert {source for _name, source, _target in proposed(chief)} == {"n2"}
    with transaction() as session:
        for row in session.scalars(select(AllowedNode).where(AllowedNode.node_id == nodes[2])):
            session.delete(row)
    assert proposed(chief) == []


@one
def test_a_node_that_takes_none_is_no_part_of_it(chief: User, nodes: list[int]) -> None:
    good = {"service_state": ServiceState.ENABLED, "observed": Observed.UP, "runs_clones": True}
    for bad in ({"service_state": ServiceState.DISABLED}, {"observed": Observed.DOWN}, {"runs_clones": False}):
        change(Node, Node.id == nodes[2], **{**good, **bad})
        fresh()
        proposal = rebalancing.propose(chief)
        assert (proposal.before, [*proposal.moves]) == (0, []), bad
        assert [one.name for one in proposal.nodes] == ["n1", "n2"]


@one
def test_more_nodes_and_desktops_make_no_more_queries(chief: User, nodes: list[int]) -> None:
    def asked() -> int:
        fresh()
        with counted_queries() as seen:
            rebalancing.propose(chief)
        return len(seen)

    few = asked()
    request_clones(chief, Request(make_base(nodes, name="other"), 30, "more", chief.name))
    change(Clone, state=CloneState.STOPPED)
    assert asked() == few


@one
@pytest.mark.parametrize("there", [DEBIAN_12, DEBIAN_13])
def test_running_ones_go_where_memory_is_uneven_if_they_can_go_on_running_there(chief: User, there: Host) -> None:
    ids = make_nodes(2, memory_mib=8192)
    base_id = make_base(ids, memory_mib=1024)
    request_clones(chief, Request(base_id, 12, "pc", chief.name))
    with transaction() as session:
        for node, host in zip(session.scalars(select(Node).order_by(Node.id)), (DEBIAN_12, there), strict=True):
            store_platform(node, host)
    change(Clone, state=CloneState.STOPPED)
    runs = {"state": CloneState.RUNNING, "virt_type": "qemu", "machine": "pc-q35-7.2", "processor": "Westmere"}
    change(Clone, Clone.node_id == ids[0], **(runs if there is DEBIAN_12 else runs | {"machine": "pc-q35-6.2"}))
    fresh()
    live = [move for move in rebalancing.propose(chief).moves if move.live]
    if there is DEBIAN_13:
        assert live == [], "its machine type is not offered there"
        return
    assert {move.target for move in live} == {"n2"}
    assert str(live[0].reason) == "Running desktops use 75% of the memory of n1, and 0% of n2’s."
    plan = rebalancing.begin(chief, [move.choice for move in live], 1)
    plan_work.go_on([plan.id])
    fresh()
    (moving,) = db.session.scalars(select(Clone).where(Clone.state == CloneState.MOVING))
    assert moving.moves_live


def looks(count: int) -> list[int]:
    """The ids of all plans after so many more looks."""
    for _ in range(count):
        rebalancing_rules.look()
    fresh()
    return list(db.session.scalars(select(MovePlan.id)))


def test_it_begins_by_itself_when_it_was_too_much_for_long_enough(chief: User, nodes: list[int]) -> None:
    assert rebalancing_rules.due() == []
    assert looks(5) == [], "off until somebody wants it"
    rebalancing_rules.decide(chief, EVERY_MINUTE)
    assert rebalancing_rules.due() == [()]
    assert looks(2) == []
    change(Clone, Clone.node_id == nodes[1], node_id=nodes[2])
    change(Cluster, rebalance_over=80)
    assert looks(1) == [], "it was not too much once: all begins anew"
    change(Cluster, rebalance_over=30)
    assert looks(2) == []
    (plan_id,) = looks(1)
    plan = plans.get(chief, plan_id)
    assert (plan.kind, plan.state, plan.choices["at_once"]) == (PlanKind.REBALANCE, PlanState.OPEN, 2)
    assert "by itself: the imbalance was over 30%" in str(Message.from_json(plan.picture["why"]))
    assert looks(9) == [plan_id], "one at a time"


@one
@pytest.mark.parametrize("trouble", ["a node down", "a drain", "a death's work", "its person gone"])
def test_it_never_begins_by_itself_beside(chief: User, nodes: list[int], trouble: str) -> None:
    rebalancing_rules.decide(chief, EVERY_MINUTE)
    before = 0
    if trouble == "a node down":
        (more,) = make_more_nodes()
        change(Node, Node.id == more, observed=Observed.DOWN)
    elif trouble == "a drain":
        before = 1
        with transaction() as session:
            plans.begin(session, PlanKind.DRAIN, session.get_one(User, chief.id), [], choices={})
    elif trouble == "a death's work":
        make_operation("node_return", state="running")
    else:
        change(User, User.id == chief.id, active=False)
    assert len(looks(9)) == before


def make_more_nodes() -> list[int]:
    with transaction() as session:
        node = Node(name="n4", address="192.0.2.40", host_key="ssh-ed25519 AAAA", service_state=ServiceState.ENABLED)
        session.add(node)
        session.flush()
        return [node.id]


@one
def test_what_is_decided_is_kept_and_bad_figures_are_refused(chief: User) -> None:
    make_nodes(2)
    rebalancing_rules.decide(chief, EVERY_MINUTE)
    fresh()
    assert rebalancing_rules.rules() == EVERY_MINUTE
    with pytest.raises(InvalidInput) as refusal:
        rebalancing_rules.decide(chief, Rules(at_once=0, rest_hours=-1, over=100, minutes=0))
    assert set(refusal.value.fields) == {"at_once", "rest_hours", "over", "minutes"}
    with pytest.raises(NotAllowed):
        rebalancing_rules.decide(make_user("oper", Role.OPERATOR), EVERY_MINUTE)
