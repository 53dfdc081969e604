"""The page that moves a desktop to another node."""

from collections.abc import Callable

from flask.testing import FlaskClient
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import Clone, CloneState, Node, Observed, Operation
from tests.support.factories import change
from tests.web.conftest import World

SignIn = Callable[[str], FlaskClient]


def test_it_offers_nodes_says_why_not_of_others_and_moves(world: World, sign_in: SignIn) -> None:
    clone = db.session.get_one(Clone, world.mine)
    there, away = (id_ for id_ in world.nodes if id_ != clone.node_id)
    change(Node, Node.id == away, observed=Observed.DOWN)
    client, page = sign_in("operator"), f"/clones/{world.mine}"
    assert f"{page}/move" in client.get(page).text
    offered = client.get(f"{page}/move").text
    assert f'value="{there}"' in offered and f'value="{away}"' not in offered and "is down" in offered
    for wrong, said in ((away, "is down"), (clone.node_id, "already"), (9999, "Select a node"), ("x", "Select a node")):
        refused = client.post(f"{page}/move", data={"node_id": wrong})
        assert refused.status_code == 422 and "invalid-feedback" in refused.text and said in refused.text, wrong
    assert client.post(f"{page}/move", data={"node_id": there}).status_code == 303
    db.session.rollback()
    assert db.session.get_one(Clone, world.mine).state == CloneState.MOVING
    assert db.session.scalars(select(Operation.kind).order_by(Operation.id.desc())).first() == "clones_move"
    shown = client.get(page).text
    assert "Moving" in shown and f"{page}/move" not in shown
    again = client.post(f"{page}/move", data={"node_id": there})
    assert again.status_code == 422 and "being moved" in again.text
