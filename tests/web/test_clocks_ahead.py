"""What a host signed whose clock was ahead, read by one whose clock is right: nobody is signed out for it, and nothing
lives for longer than meant and the hour that clocks may differ by."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from flask_wtf.csrf import generate_csrf, validate_csrf
from itsdangerous import BadSignature

from ravada_web import clock
from ravada_web.clock import SKEW, holds, holds_no_more, now
from ravada_web.extensions import db
from ravada_web.models import User, UserSession
from ravada_web.services.sign_in import second_factor, sessions
from ravada_web.services.transaction import transaction
from tests.conftest import PASSWORD, People
from tests.web.test_sign_in import code_of

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@contextmanager
def clock_off(by: timedelta) -> Iterator[None]:
    """As at a host whose clock is off by so much."""
    before, clock._Server.said = clock._Server.said, (time.time() + by.total_seconds(), time.monotonic())
    try:
        yield
    finally:
        clock._Server.said = before


def is_in(client: FlaskClient) -> bool:
    g.pop("_login_user", None)
    db.session.rollback()
    return client.get("/account").status_code == 200


@pytest.mark.parametrize(
    ("ahead", "lives"), [(-HOUR, True), (HOUR - MINUTE, True), (2 * HOUR, False), (400 * DAY, False)]
)
def test_who_signed_in_where_the_clock_was_ahead(
    people: People, sign_in: Callable[[str], FlaskClient], ahead: timedelta, lives: bool
) -> None:
    with clock_off(ahead):
        client = sign_in("user")
        assert is_in(client)
    assert is_in(client) == lives
    assert len(sessions.listing(db.session.get_one(User, people.user.id))) == lives


def test_a_session_of_a_clock_that_was_ahead_ends_in_time(people: People) -> None:
    with clock_off(HOUR - MINUTE):
        token = sessions.begin(people.user, "192.0.2.1", "a browser")
    for later, lives in ((sessions.longest(), True), (sessions.longest() + SKEW, False)):
        with clock_off(later):
            with transaction() as session:  # it is used all the time
                session.query(UserSession).update({"seen_at": now()})
            assert (sessions.find(token) is not None) == lives


def test_a_cookie_holds_as_long_as_it_is_meant_to(app: Flask) -> None:
    serializer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
    with clock_off(HOUR - MINUTE):
        signed = serializer.dumps({"a": 1})
    for later, good in ((-2 * MINUTE, False), (timedelta(), True), (DAY, True), (DAY + HOUR, False)):
        with clock_off(later):
            try:
                read = serializer.loads(signed, max_age=DAY.total_seconds())
            except BadSignature:
                read = None
        assert (read == {"a": 1}) == good, later


def test_a_form_of_a_page_that_was_made_ahead_is_taken(app: Flask) -> None:
    with app.test_request_context():
        with clock_off(HOUR - MINUTE):
            token = generate_csrf()
        validate_csrf(token)


@pytest.mark.parametrize("off", [-HOUR, timedelta(), MINUTE, HOUR - MINUTE, HOUR + MINUTE, 400 * DAY])
def test_columns_are_judged_as_moments_are(app: Flask, people: People, off: timedelta) -> None:
    sessions.begin(people.user, "192.0.2.1", "a browser")
    with transaction() as session:
        session.query(UserSession).update({"seen_at": now() + off})
    over = db.session.query(holds_no_more(UserSession.seen_at, 30 * MINUTE)).scalar()
    assert over != holds(now() + off, 30 * MINUTE)


def test_a_code_that_was_used_ahead_keeps_nobody_out_and_none_is_taken_twice(people: People) -> None:
    secret = second_factor.begin(people.user)
    code, later = code_of(secret), code_of(secret, ahead=120)
    with clock_off(HOUR):
        second_factor.confirm(people.user, later)
    assert second_factor.accepts(people.user, code)
    assert not second_factor.accepts(people.user, code)
    with clock_off(HOUR):
        assert not second_factor.accepts(people.user, later)


def test_the_password_alone_is_not_enough_there_either(people: People, client: FlaskClient) -> None:
    second_factor.confirm(people.user, code_of(second_factor.begin(people.user)))
    with clock_off(HOUR):
        client.post("/login", data={"name": "user", "password": PASSWORD})
    assert not is_in(client)
