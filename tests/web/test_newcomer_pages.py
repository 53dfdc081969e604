"""A host that shows another key at a node's address, on the pages: which host it is, and joining it in the node's
place."""

import pytest

from ravada_web.extensions import db
from ravada_web.messages import message
from ravada_web.models import Clone, CloneState, Node, Operation, OperationState, Trust
from ravada_web.services.nodes import endpoints
from tests.support.factories import change
from tests.web.conftest import World
from tests.web.test_views import SignIn

NEW = "ssh-ed25519 BBBB"
OFFERED = {"anew": (True, False), "emptied": (True, True), "kept": (True, True), "other": (False, False)}


@pytest.fixture
def node_id(world: World) -> int:
    return world.nodes[1]


def see(node_id: int, who: str) -> None:
    """What was found of the host there."""
    text = message(f"joining.host_{who}", node="n2", other="n3", desktops=3, bases=1).to_json()
    newcomer = {"who": who, "machine_id": "c" * 32, "text": text}
    change(Operation, state=OperationState.DONE)
    change(Node, Node.id == node_id, trust=Trust.CHANGED, new_host_key=NEW, newcomer=newcomer)
    change(Clone, node_id=node_id, state=CloneState.UNREACHABLE)


def row(node_id: int) -> Node:
    db.session.rollback()
    return db.session.get_one(Node, node_id, populate_existing=True)


@pytest.mark.parametrize("who", OFFERED)
def test_the_page_says_which_host_it_is_and_offers_what_may_be_done(node_id: int, sign_in: SignIn, who: str) -> None:
    see(node_id, who)
    client = sign_in("administrator")
    page = client.get(f"/nodes/{node_id}/join").text
    assert str(message(f"joining.host_{who}", node="n2", other="n3", desktops=3, bases=1)) in page
    taken, accepted = OFFERED[who]
    assert (f"/nodes/{node_id}/replace" in page, f"/nodes/{node_id}/join/node" in page) == (taken, accepted)
    assert client.get(f"/nodes/{node_id}/replace").status_code == (200 if taken else 409)
    assert "Which host is it?" in client.get(f"/nodes/{node_id}").text


def test_a_key_that_is_accepted_and_not_let_in_yet_asks_for_access(node_id: int, sign_in: SignIn) -> None:
    change(Operation, state=OperationState.DONE)
    change(Node, Node.id == node_id, trust=Trust.CHANGED, new_host_key=NEW)
    page = sign_in("administrator").get(f"/nodes/{node_id}/join").text
    assert endpoints.fingerprint(NEW) in page and 'id="install-key"' in page and "/replace" not in page


def test_joining_it_says_first_what_stood_there_and_takes_the_nodes_name(node_id: int, sign_in: SignIn) -> None:
    see(node_id, "anew")
    client = sign_in("administrator")
    page = client.get(f"/nodes/{node_id}/replace").text
    assert "mine-1" in page and "foreign-1" in page and "put them back in" in page
    given = {"volatile": "wait", "typed": "n2", "fingerprint": endpoints.fingerprint(NEW)}
    for wrong, said in (({"typed": "n1"}, "Enter the name of the node: n2"), ({}, "are lost, or cancel")):
        refused = client.post(f"/nodes/{node_id}/replace", data=given | wrong)
        assert refused.status_code == 422 and said in refused.text
    other = client.post(f"/nodes/{node_id}/replace", data=given | {"lost": "y", "fingerprint": "SHA256:other"})
    assert other.status_code == 422 and "Yet another host" in other.text
    assert row(node_id).trust == Trust.CHANGED
    done = client.post(f"/nodes/{node_id}/replace", data=given | {"lost": "y"})
    assert (done.status_code, done.location) == (303, f"/nodes/{node_id}/join")
    assert (row(node_id).host_key, row(node_id).trust) == (NEW, Trust.PINNED)
    again = client.post(f"/nodes/{node_id}/replace", data=given | {"lost": "y"})
    assert again.status_code == 409 and "somebody else may have decided" in again.text


def test_a_host_that_may_be_the_node_is_taken_for_it_once(node_id: int, sign_in: SignIn) -> None:
    see(node_id, "kept")
    client = sign_in("administrator")
    assert "nothing is deleted" in client.get(f"/nodes/{node_id}/join/node").text
    assert client.post(f"/nodes/{node_id}/join/node").status_code == 303
    assert (row(node_id).host_key, row(node_id).machine_id) == (NEW, "c" * 32)
    assert client.post(f"/nodes/{node_id}/join/node").status_code == 409
