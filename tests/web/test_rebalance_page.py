"""The page that rebalances the nodes."""

from collections.abc import Callable

from flask.testing import FlaskClient
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import Clone, CloneState, Cluster, MovePlan, Operation, PlanState
from tests.support.factories import change
from tests.web.conftest import World

SignIn = Callable[[str], FlaskClient]
PAGE = "/nodes/rebalance"


def pile_up(world: World) -> int:
    """All clones are off, on the first node; returns how many there are."""
    change(Clone, node_id=world.nodes[0], state=CloneState.STOPPED)
    change(Operation, state="done")
    db.session.rollback()
    return len(db.session.scalars(select(Clone.id)).all())


def test_it_shows_what_would_move_and_why_and_begins_it(world: World, sign_in: SignIn) -> None:
    assert pile_up(world) >= 2
    client = sign_in("administrator")
    assert f'href="{PAGE}"' in client.get("/nodes").text
    page = client.get(PAGE).text
    assert "desktops, " in page and "<progress" in page and "style=" not in page
    moves = [part.split('"')[0] for part in page.split('name="move" value="')[1:]]
    assert moves and page.count(" checked") == len(moves)
    for wrong in ({}, {"move": moves[:1], "at_once": "0"}, {"move": moves[:1], "at_once": "many"}, {"at_once": "2"}):
        refused = client.post(PAGE, data=wrong)
        assert refused.status_code == 422, wrong
    refused = client.post(PAGE, data={"move": [*moves[:1], "77777-1-2-0"], "at_once": "2"})
    assert refused.status_code == 422 and "The cluster has changed" in refused.text
    assert refused.text.count(" checked") == 1, "the selection is kept as far as it holds"
    assert client.post(PAGE, data={"move": moves, "at_once": "2"}).status_code == 303
    db.session.rollback()
    plan = db.session.scalars(select(MovePlan)).one()
    assert (plan.state, plan.choices["at_once"]) == (PlanState.OPEN, 2)
    page = f"/nodes/plans/{plan.id}"
    assert page in client.get(PAGE).text and 'name="move"' not in client.get(PAGE).text
    progress = client.get(page).text
    assert "as administrator asked" in progress and "desktops, " in progress and "→" in progress
    assert client.post(PAGE, data={"move": moves, "at_once": "2"}).status_code == 409
    assert client.post(f"{page}/cancel").status_code == 303
    change(MovePlan, state=PlanState.CANCELLED)
    again = client.get(PAGE).text
    assert page in again and 'name="move"' in again


def test_it_says_when_nothing_would_help(world: World, sign_in: SignIn) -> None:
    pile_up(world)
    change(Clone, state=CloneState.FAILED)
    assert "The nodes are balanced" in sign_in("administrator").get(PAGE).text


def test_its_settings_are_kept(world: World, sign_in: SignIn) -> None:
    client = sign_in("administrator")
    good = {"over": "40", "minutes": "5", "at_once": "3", "rest_hours": "12"}
    for name, value in (("over", "2"), ("minutes", ""), ("at_once", "999"), ("rest_hours", "-1")):
        refused = client.post(f"{PAGE}/settings", data={**good, name: value})
        assert refused.status_code == 422 and "invalid-feedback" in refused.text, name
    assert client.post(f"{PAGE}/settings", data=good).status_code == 303
    db.session.rollback()
    row = db.session.get_one(Cluster, 1)
    assert (row.rebalance_over, row.rebalance_minutes, row.rebalance_at_once, row.rebalance_rest_hours) == (
        40,
        5,
        3,
        12,
    )
    assert "above 40% imbalance, in the name of administrator" in client.get(PAGE).text
    change(Cluster, rebalance_user_id=None)
    assert "Save the settings again" in client.get(PAGE).text
    assert client.post(f"{PAGE}/settings", data={**good, "over": ""}).status_code == 303
    assert "only on request" in client.get(PAGE).text
