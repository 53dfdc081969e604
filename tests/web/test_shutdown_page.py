"""The page of a shutdown that is watched, or has failed: how far it is, and the way out."""

from collections.abc import Callable

from flask.testing import FlaskClient

from ravada_web.messages import message
from ravada_web.models import Clone, CloneState, OperationState, User
from ravada_web.services.clones.requests import Request, request_clones
from tests.conftest import People
from tests.support.factories import change, make_base, make_nodes, make_operation

SignIn = Callable[[User], FlaskClient]
FORCE_OFF = "/clones/force-off?"


def shut_down(people: People, **values: object) -> int:
    """An operation that shuts pc-1 and pc-2 down: the first of them is off; returns its id."""
    (node_id,) = make_nodes(1)
    request_clones(people.administrator, Request(make_base([node_id]), 2, "pc", people.user.name))
    about = {"title": message("clones.title_stop", count=2, node="n1"), "user_id": people.user.id, "node_id": node_id}
    operation = make_operation("clones_stop", **about | values)
    change(Clone, Clone.name == "pc-1", operation_id=operation.id, state=CloneState.STOPPED)
    change(Clone, Clone.name == "pc-2", operation_id=operation.id, state=CloneState.STOPPING)
    return operation.id


def test_it_says_how_many_are_off_and_can_be_cancelled_or_cut_short(people: People, sign_in: SignIn) -> None:
    far = message("clones.off_so_far", off=1, count=2)
    number = shut_down(people, state=OperationState.WATCHED, progress=50, message=far)
    client = sign_in(people.operator)
    page = client.get(f"/operations/{number}").text
    assert "Waiting for guests" in page and "1 of 2 off." in page and 'value="50"' in page
    assert 'action="/operations/cancel"' in page
    (asked,) = [part.split('"')[0] for part in page.split(f'href="{FORCE_OFF}')[1:]]
    assert asked.count("id=") == 1, "what is off is not cut"
    question = client.get((FORCE_OFF + asked).replace("&amp;", "&")).text
    assert "pc-2" in question and "pc-1" not in question
    assert "Waiting for guests" in client.get("/operations?state=watched").text
    assert '<span class="badge bg-blue' in client.get("/operations/badge").text


def test_one_that_failed_offers_to_force_off_what_is_still_on(people: People, sign_in: SignIn) -> None:
    number = shut_down(people, state=OperationState.FAILED)
    change(Clone, Clone.name == "pc-2", state=CloneState.RUNNING)
    assert FORCE_OFF in sign_in(people.operator).get(f"/operations/{number}").text
    assert FORCE_OFF in sign_in(people.user).get(f"/operations/{number}").text, "they are the user's own"
    change(Clone, Clone.name == "pc-2", state=CloneState.STOPPED)
    assert FORCE_OFF not in sign_in(people.operator).get(f"/operations/{number}").text
