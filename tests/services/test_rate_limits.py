"""Counting failures: one key is not another, and whoever reads Redis learns no name, address or cookie's word."""

from flask import Flask
from limits import parse

from ravada_web.extensions import queues
from ravada_web.services.rate_limits import Growing, Slowing, count_failure, first_in_a_minute, seconds_to_wait
from tests.support.redis_words import everything

LIMIT = parse("2 per minute")


def test_each_key_is_counted_by_itself(app: Flask) -> None:
    first, second = Growing(LIMIT, ("name", "alice"), 600), Growing(LIMIT, ("name", "alic", "e"), 600)
    for _time in range(2):
        assert not seconds_to_wait([first])
        count_failure([first])
    assert seconds_to_wait([first]) and not seconds_to_wait([second])


def test_redis_holds_none_of_what_is_counted(app: Flask) -> None:
    device, name, address = ("device", "word-of-a-cookie"), ("name", "alice"), ("address", "192.0.2.1")
    for _time in range(3):
        count_failure([Growing(LIMIT, device, 600), Growing(LIMIT, name, 600), Slowing(LIMIT, address)])
        assert seconds_to_wait([Slowing(LIMIT, address)]) in (0, 1)
    first_in_a_minute("refused", "alice", "192.0.2.1")
    held = everything(queues.redis)
    assert held.count(b"LIMITS") >= 6
    assert not [part for key in (device, name, address) for part in key if part.encode() in held]
