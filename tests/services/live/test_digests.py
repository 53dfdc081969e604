"""Digests of pages: one that cannot be made keeps no other from being made."""

from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import Clone, CloneState, MovePlan, MoveWay, Operation, PlanKind, PlannedMove, PlanState
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.live.digests import digests
from ravada_web.services.transaction import transaction
from tests.conftest import People
from tests.support.factories import change, make_base, make_nodes


def test_a_digest_that_cannot_be_made_is_left_out_alone(people: People) -> None:
    mine = f"desktops-{people.user.id}"
    assert digests([mine, "clone-" + "9" * 400, "clone-seven"]) == digests([mine])
    assert digests([mine]) and digests(["clone-seven"]) == {}


def test_what_a_plan_is_about_to_do_to_a_desktop_is_news_on_its_pages(people: People) -> None:
    ids = make_nodes(2)
    request_clones(people.administrator, Request(make_base(ids), 2, "pc", people.user.name))
    change(Clone, node_id=ids[0], state=CloneState.RUNNING)
    first, second = db.session.scalars(select(Clone.id).order_by(Clone.id))
    topics = [f"desktops-{people.user.id}", f"clone-{first}", f"clone-{second}"]
    before = digests(topics)
    with transaction() as session:
        plan = MovePlan(kind=PlanKind.DRAIN, state=PlanState.OPEN)
        session.add(plan)
        session.flush()
        session.add(PlannedMove(plan_id=plan.id, clone_id=first, clone_name="pc-1", way=MoveWay.SHUT_DOWN))
    after = digests(topics)
    assert [before[topic] != after[topic] for topic in topics] == [True, True, False]


def test_how_far_a_move_is_is_news_on_the_page_of_its_desktop_alone(people: People) -> None:
    request_clones(people.administrator, Request(make_base(make_nodes(1)), 1, "pc", people.user.name))
    clone = db.session.scalars(select(Clone)).one()
    topics = [f"desktops-{people.user.id}", f"clone-{clone.id}"]
    for state, news in ((CloneState.RUNNING, [False, False]), (CloneState.MOVING, [False, True])):
        change(Clone, state=state)
        change(Operation, progress=10)
        before = digests(topics)
        change(Operation, progress=20)
        after = digests(topics)
        assert [before[topic] != after[topic] for topic in topics] == news, state
