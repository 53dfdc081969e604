"""A loop over rows: what goes wrong with one row is that row's own."""

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy.exc import OperationalError

from ravada_web.errors import Conflict, DatabaseBusy
from ravada_web.guard import guarded
from ravada_web.messages import Message, message


def test_an_exception_becomes_the_rows_own_words_and_the_others_go_on() -> None:
    failures: dict[int, Message] = {}
    done = []
    for number in (1, 0, 2):
        with guarded(lambda reason, number=number: failures.update({number: reason}), number=number):
            done.append(10 // number)
    assert done == [10, 5]
    assert "ZeroDivisionError" in str(failures[0])


def test_an_error_of_ours_says_its_own_sentence() -> None:
    said: list[Message] = []
    with guarded(said.append):
        raise Conflict(message("nodes.no_such"))
    assert said == [message("nodes.no_such")]


@pytest.mark.parametrize(
    "error",
    [RedisConnectionError("away"), OperationalError("select 1", {}, Exception("away")), DatabaseBusy("busy"),
     KeyboardInterrupt()],
)  # fmt: skip
def test_what_is_everybodys_ends_the_loop(error: BaseException) -> None:
    with pytest.raises(type(error)), guarded(lambda reason: pytest.fail(str(reason))):
        raise error
