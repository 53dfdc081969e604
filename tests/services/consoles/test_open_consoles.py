"""Two tabs that a browser opens at once: one of them has the desktop, on either database."""

import threading

from flask import Flask

from ravada_web.extensions import db
from ravada_web.models import Clone, CloneState, Console, Role, User
from ravada_web.services.clones import requests as clone_requests
from ravada_web.services.clones.requests import Request
from ravada_web.services.consoles import tickets as consoles_tickets
from ravada_web.services.sign_in import sessions
from tests.support.consoles import open_count
from tests.support.factories import change, make_base, make_nodes, make_user

TABS = 6
ROUNDS = 5


def redeem_at_once(app: Flask, tickets: list[str], token: str) -> None:
    """Use all tickets at the same moment, each in a thread of its own."""
    together = threading.Barrier(len(tickets))

    def open_one(ticket: str) -> None:
        with app.app_context():
            together.wait()
            consoles_tickets.redeem(ticket, token, "here")
            db.session.remove()

    threads = [threading.Thread(target=open_one, args=(ticket,)) for ticket in tickets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_of_many_tabs_one_has_the_desktop(migrated_app: Flask) -> None:
    alice = make_user("alice", Role.ADMINISTRATOR)
    clone_requests.request_clones(alice, Request(make_base(make_nodes(1)), 1, "desk", "alice"))
    change(Clone, state=CloneState.RUNNING)
    token = sessions.begin(alice, "192.0.2.1", "a test")
    found = sessions.find(token)
    assert found is not None
    clone, who = db.session.query(Clone).one().id, found.id
    for _round in range(ROUNDS):
        tickets = [consoles_tickets.issue(db.session.get_one(User, alice.id), who, clone) for _tab in range(TABS)]
        db.session.rollback()
        redeem_at_once(migrated_app, tickets, token)
        assert open_count() == 1
        db.session.rollback()
    assert db.session.query(Console).count() == ROUNDS * TABS
