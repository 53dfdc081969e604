"""A node that is away, as its pages say it; and the administrator's word that it is off."""

import pytest
from flask.testing import FlaskClient

from ravada_web.extensions import db
from ravada_web.models import Away, Clone, CloneState, Node, Observed
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.recording import record
from ravada_web.services.monitoring.rounds import begin
from tests.conftest import People
from tests.support.factories import change
from tests.web.conftest import World
from tests.web.test_views import SignIn


@pytest.fixture
def node_id(world: World) -> int:
    return world.nodes[1]


def see(node_id: int, away: Away) -> None:
    record([Answer(node_id, Observed.DOWN, away=away, round=begin([node_id])[node_id])])


def away(node_id: int) -> str:
    db.session.rollback()
    return db.session.get_one(Node, node_id).away


@pytest.mark.parametrize(
    ("manner", "title", "offered"),
    [(Away.REFUSES, "The host is on, but refuses connections", False), (Away.SILENT, "The host does not answer", True)],
)
def test_its_page_and_the_list_say_how_it_is_away_and_what_may_be_done(
    node_id: int, sign_in: SignIn, manner: Away, title: str, offered: bool
) -> None:
    see(node_id, manner)
    client = sign_in("administrator")
    page = client.get(f"/nodes/{node_id}").text
    now_allowed = str(db.session.get_one(Node, node_id).what_now)
    assert title in page and now_allowed in page
    assert (f"/nodes/{node_id}/off" in page) == offered
    assert now_allowed in client.get("/nodes").text and now_allowed in client.get("/alerts").text
    assert client.get(f"/nodes/{node_id}/off").status_code == (200 if offered else 409)


def test_the_word_that_it_is_off_takes_its_name_and_can_be_taken_back(node_id: int, sign_in: SignIn) -> None:
    see(node_id, Away.SILENT)
    client = sign_in("administrator")
    assert "no power" in client.get(f"/nodes/{node_id}/off").text
    wrong = client.post(f"/nodes/{node_id}/off", data={"typed": "n1"})
    assert (wrong.status_code, away(node_id)) == (422, Away.SILENT)
    assert "Enter the name of the node: n2" in wrong.text
    assert client.post(f"/nodes/{node_id}/off", data={"typed": "n2"}).status_code == 303
    assert away(node_id) == Away.OFF
    page = client.get(f"/nodes/{node_id}").text
    assert "The host is off" in page and "confirmed by administrator" in page
    assert client.post(f"/nodes/{node_id}/off/undo").status_code == 303
    assert away(node_id) == Away.SILENT


def test_a_user_reads_which_host_it_is_and_since_when(world: World, people: People, sign_in: SignIn) -> None:
    clone = db.session.get_one(Clone, world.mine)
    node_id, name = clone.node_id, clone.node.name
    change(Clone, state=CloneState.RUNNING)
    see(node_id, Away.REFUSES)
    client: FlaskClient = sign_in("user")
    for address in ("/", f"/clones/{world.mine}"):
        assert f"Its host, {name}, has refused connections since" in client.get(address).text, address
