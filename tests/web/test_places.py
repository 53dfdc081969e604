"""What a user whose desktop waits is told: the place in the queue, and about how long."""

import re
from collections.abc import Callable
from datetime import timedelta

from flask.testing import FlaskClient
from sqlalchemy import select

from ravada_web.extensions import db, queues
from ravada_web.models import Clone, CloneState, Operation, OperationState, User, now
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.operations import outbox
from tests.conftest import People
from tests.services.operations.test_waiting import asked, past, running, worker
from tests.support.factories import change, make_base, make_nodes

SignIn = Callable[[User | str], FlaskClient]


def test_a_user_is_told_their_place_and_no_node(people: People, sign_in: SignIn) -> None:
    base_id = make_base(make_nodes(1))
    request_clones(people.administrator, Request(base_id, 2, "pc", people.user.name))
    change(Clone, state=CloneState.STOPPED)
    change(Operation, state=OperationState.DONE, started_at=now() - timedelta(seconds=8), finished_at=now(), items=2)
    past(20)
    queues.redis.delete(outbox.queue("batches").key)
    running(1, items=3)
    (first, second) = db.session.scalars(select(Clone.id).order_by(Clone.id))
    asked(people, "clones_start")
    clone_actions.start(people.administrator, [first, second])
    page = sign_in("user")
    with worker("batches", state="busy"):
        assert "in the queue" not in page.get("/").text, "what may begin at once has no place yet"
        change(Operation, Operation.state == OperationState.WAITING, created_at=now() - timedelta(seconds=2))
        for address in ("/", f"/clones/{second}", f"/console/{second}"):
            text = page.get(address).text
            assert "Position 2 in the queue. Starts in about 2 min." in text, address
            assert "n1" not in re.sub(r'(csrf_token"|csrf-token") (value|content)="[^"]*"', "", text)
