"""The page of resting nodes: set, refused beside its field, and read."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from ravada_web.extensions import db
from ravada_web.models import Node, User
from ravada_web.services.placements import reserve
from tests.conftest import People
from tests.support.factories import make_nodes

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
