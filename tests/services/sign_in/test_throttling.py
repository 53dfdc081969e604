"""Guesses are slowed by name and device; nobody else is kept out for them."""

import pytest
from flask import Flask
from limits import parse
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ravada_web.extensions import limiter
from ravada_web.services import rate_limits
from ravada_web.services.audit import origin
from ravada_web.services.rate_limits import Growing, Slowing
from ravada_web.services.sign_in import attempts, failures, throttling
from ravada_web.services.sign_in.throttling import DAY, HOUR, TooManyAttempts
from ravada_web.services.transaction import transaction
from tests.conftest import PASSWORD, People

WRONG = "wrong password"


@pytest.fixture
def from_elsewhere() -> None:
    """Each test begins at an address of its own choice."""
    origin.address.set("192.0.2.1")


def reopen(counter: Growing) -> None:
    """As if the wait were over."""
    limiter.limiter.storage.clear(counter._closed)


def test_each_failure_beyond_the_limit_doubles_the_wait_up_to_a_day(app: Flask) -> None:
    counter = Growing(parse("3 per minute"), ("a", "name"), DAY)
    waits = []
    for _failure in range(16):
        counter.fail()
        waits.append(counter.wait())
        reopen(counter)
    assert waits[:2] == [0, 0]
    assert waits[2:6] == pytest.approx([60, 120, 240, 480], abs=30)
    assert waits[-1] == pytest.approx(DAY, abs=60) and waits == sorted(waits)
    counter.forget()
    assert counter.wait() == 0


def test_a_shared_key_is_slowed_and_never_closed(app: Flask) -> None:
    counter = Slowing(parse("2 per hour"), ("building",))
    for _failure in range(50):
        counter.fail()
    waits = [counter.wait() for _attempt in range(20)]
    assert 0 in waits and set(waits) == {0, 1}


def test_without_redis_this_process_counts_alone(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = Growing(parse("1 per minute"), ("alone", "name"), DAY)
    away = Redis(unix_socket_path="/nonexistent/redis.sock", retry=Retry(NoBackoff(), 0))
    monkeypatch.setattr(limiter.limiter.storage, "storage", away)
    monkeypatch.setattr(limiter.limiter.storage.lua_incr_expire, "registered_client", away)
    try:
        assert counter.wait() == 0
        counter.fail()
        assert counter.wait() == pytest.approx(60, abs=30)
    finally:
        counter.forget()
    assert counter.wait() == 0


def test_the_wait_is_for_that_name_and_place_alone(from_elsewhere: None, people: People) -> None:
    for _guess in range(10):
        assert attempts.by_password("user", WRONG, {}) is None
    with pytest.raises(TooManyAttempts) as refused:
        attempts.by_password("user", PASSWORD, {})
    assert 0 < refused.value.seconds <= 60
    assert attempts.by_password("other", PASSWORD, {}) == people.other
    assert attempts.by_password("user", PASSWORD, {str(people.user.id): "a known browser"}) == people.user
    origin.address.set("192.0.2.2")
    assert attempts.by_password("user", PASSWORD, {}) == people.user


def test_addresses_of_one_network_are_one_guesser(people: People) -> None:
    for number in range(10):
        origin.address.set(f"2001:db8:1:2::{number:x}")
        assert attempts.by_password("user", WRONG, {}) is None
    origin.address.set("2001:db8:1:2:ffff::1")
    with pytest.raises(TooManyAttempts):
        attempts.by_password("user", PASSWORD, {})
    origin.address.set("2001:db8:1:3::1")
    assert attempts.by_password("user", PASSWORD, {}) == people.user


def test_a_right_password_forgets_the_slips_before_it(from_elsewhere: None, people: People) -> None:
    for _day in range(3):
        for _slip in range(6):
            attempts.by_password("user", WRONG, {})
        assert attempts.by_password("user", PASSWORD, {}) == people.user


def test_guessers_at_many_addresses_are_slowed_and_the_owner_s_browser_is_not(people: People) -> None:
    for number in range(60):
        origin.address.set(f"198.51.100.{number}")
        attempts.by_password("user", WRONG, {})
    origin.address.set("203.0.113.1")
    with pytest.raises(TooManyAttempts) as refused:
        attempts.by_password("user", PASSWORD, {})
    assert 60 < refused.value.seconds <= HOUR
    assert attempts.by_password("user", PASSWORD, {str(people.user.id): "a known browser"}) == people.user


def test_codes_are_not_guessed_for_ever_and_the_owner_s_browser_is_not_kept_out(people: People) -> None:
    counters = [throttling.code_counters(people.user.id, f"198.51.100.{number}", "") for number in range(30)]
    for one in counters:
        rate_limits.count_failure(one)
    everywhere = counters[0][1]
    assert isinstance(everywhere, Growing)
    waits = []
    for _guess in range(6):
        waits.append(everywhere.wait())
        reopen(everywhere)
        everywhere.fail()
    assert waits == pytest.approx([HOUR, 2 * HOUR, 4 * HOUR, 8 * HOUR, 16 * HOUR, DAY], abs=60)
    assert attempts.by_code(people.user, "000000", {str(people.user.id): "a known browser"}) is False


def test_who_is_guessed_at_is_told_until_they_know(from_elsewhere: None, people: People) -> None:
    for _guess in range(failures.TOLD_FROM - 1):
        attempts.by_password("USER", WRONG, {})
    assert not failures.said(people.user)
    attempts.by_password("user", WRONG, {})
    assert failures.said(people.user).figures["count"] == failures.TOLD_FROM
    with transaction():
        failures.forget_slips(people.user)
    assert str(failures.said(people.user)).startswith("Failed sign-in attempts since ")
    assert not failures.said(people.other)
    failures.acknowledge(people.user)
    assert not failures.said(people.user)
    attempts.by_password("nobody", WRONG, {})
    assert not failures.said(people.user)
