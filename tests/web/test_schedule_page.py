"""The page of resting nodes: set, refused beside its field, and read."""

import re
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from ravada_web.config import settings
from ravada_web.extensions import db
from ravada_web.messages import message
from ravada_web.models import Away, Node, Observed, RestStep, ServiceState, User, now
from ravada_web.services.placements import reserve
from tests.conftest import People
from tests.support.factories import change, make_nodes

SignIn = Callable[[User], FlaskClient]
RULE = {"free_percent": "30", "settle_hours": "3", "from_hour": "19", "until_hour": "7"}


def test_it_is_set_and_read(people: People, sign_in: SignIn) -> None:
    first, second, third = make_nodes(3)
    client = sign_in(people.administrator)
    assert 'href="/nodes/schedule"' in client.get("/nodes").text
    page = client.get("/nodes/schedule").text
    assert "Nothing is shut down or woken by it." in page and "There are no samples yet." in page
    chosen = {"node": [str(second), str(third)], f"watts-{second}": "250", f"watts-{third}": ""}
    assert client.post("/nodes/schedule", data=RULE | chosen).status_code == 303
    db.session.rollback()
    assert [db.session.get_one(Node, id_).may_rest for id_ in (first, second, third)] == [False, True, True]
    assert db.session.get_one(Node, second).watts == 250
    policy = reserve.policy()
    assert (policy.rest_free_percent, policy.rest_settle_hours, policy.rest_weekends) == (30, 3, False)
    page = client.get("/nodes/schedule").text
    assert page.count(" checked") == 2 and 'value="250"' in page and "It is not one of the nodes that may rest." in page


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("free_percent", "91", "Enter a number between 0 and 90."),
        ("settle_hours", "", "Enter a number."),
        ("from_hour", "noon", "Enter a whole number."),
        ("watts-1", "many", "Enter whole numbers of watts"),
        ("watts-1", "-5", "Enter whole numbers of watts"),
    ],
)
def test_what_is_none_is_said(people: People, sign_in: SignIn, field: str, value: str, said: str) -> None:
    make_nodes(3)
    answer = sign_in(people.administrator).post("/nodes/schedule", data={**RULE, field: value})
    assert answer.status_code == 422 and said in answer.text


def test_it_is_switched_on_after_a_question_and_off_again(
    people: People, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings(), "wake_command", "/bin/true")
    _first, second, third = make_nodes(3)
    change(Node, Node.id.in_([second, third]), may_rest=True)
    client = sign_in(people.administrator)
    question = client.get("/nodes/schedule/on").text
    assert "its host shut down" in question
    assert "<li>n2</li>" in question
    assert client.post("/nodes/schedule/on").status_code == 303
    page = client.get("/nodes/schedule").text
    assert 'data-acts="yes"' in page and f"In the name of {people.administrator.name}." in page
    assert f'action="/nodes/schedule/{second}/rest"' in page
    assert client.post(f"/nodes/schedule/{second}/rest").status_code == 303
    assert "Going to rest</span>" in client.get("/nodes/schedule/now").text
    refusal = client.post(f"/nodes/schedule/{third}/rest")
    assert refusal.status_code == 409 and "Another node is going to rest" in refusal.text
    assert client.post(f"/nodes/schedule/{third}/keep-awake").status_code == 303
    page = client.get("/nodes/schedule/now").text
    assert "keeps it awake." in page and f'action="/nodes/schedule/{third}/let-rest"' in page
    assert client.post("/nodes/schedule/off").status_code == 303
    assert 'data-acts="no"' in client.get("/nodes/schedule").text


def test_a_node_that_rests_is_no_failure_and_says_why_it_rests_and_what_wakes_it(
    people: People, sign_in: SignIn
) -> None:
    found = make_nodes(3)[1]
    why = message("resting.rests", need_mib=512, have_mib=20_480)
    change(Node, Node.id == found, seen=Observed.DOWN, away=Away.SILENT, service_state=ServiceState.MAINTENANCE)
    change(
        Node,
        Node.id == found,
        rest_step=RestStep.RESTING,
        rest_since=now(),
        rest_note=why,
        reason=message("nodes.no_login"),
    )
    client = sign_in(people.administrator)
    for address in (f"/nodes/{found}", "/nodes"):
        page = client.get(address).text
        assert "Resting</span>" in page and "It is quiet: at most 512 MiB" in page
        assert ">Down</span>" not in page and "Maintenance</span>" not in page
    page = client.get(f"/nodes/{found}").text
    assert "It is woken when" in page and f'action="/nodes/{found}/wake?enable=yes"' in page
    assert 'id="away"' not in page and 'id="maintenance"' not in page
    change(Node, Node.id == found, maintenance_by="somebody")
    page = client.get(f"/nodes/{found}").text
    assert "Resting</span>" not in page and 'id="maintenance"' in page, "it is that person's now"


def test_of_many_nodes_those_that_may_rest_come_first_and_the_others_fold(people: People, sign_in: SignIn) -> None:
    change(Node, Node.id == make_nodes(61)[-1], may_rest=True)
    client = sign_in(people.administrator)
    for path in ("/nodes/schedule", "/nodes/schedule/now"):
        text = client.get(path).text
        names = re.findall(r'<tr data-node="([^"]+)"', text)
        assert len(names) == len(set(names)) >= 60 and names[0] == "n61", "no node is lost"
        assert f"{len(names) - 50} other nodes" in text
    assert len(re.findall(r'name="node" value="', client.get("/nodes/schedule").text)) == len(names), (
        "all can be ticked"
    )
