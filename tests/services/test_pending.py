"""What waits for a transaction's end: jobs, announcements and lines of the log go with the savepoint that they were
added in, only with that one, and leave with the commit of the whole alone."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ravada_web.extensions import db, queues
from ravada_web.messages import NOTHING
from ravada_web.models import Event, Operation, User
from ravada_web.services import changes
from ravada_web.services.audit import events
from ravada_web.services.operations import outbox
from ravada_web.services.operations.sweep import queued_jobs
from ravada_web.services.transaction import transaction
from tests.support.factories import make_operation, make_user


@pytest.fixture
def act(app: Flask) -> Callable[[Session, str], None]:
    """Post a job, change a row of a topic and add a line, all of that name ("a", "b" or "c")."""
    user_id = make_user("alice").id
    operations = {name: make_operation(title=NOTHING).id for name in "abc"}
    queues.redis.delete(changes.TOPICS)

    def one(session: Session, name: str) -> None:
        table = {"a": "clones", "b": "bases", "c": "consoles"}[name]
        outbox.post(session, session.get_one(Operation, operations[name]), 1)
        changes._record(session, [table])
        events.record(session, None, "change", session.get_one(User, user_id), name)

    return one


def seen() -> tuple[str, str, str]:
    """The names of the jobs that are queued, of what was published, and of the lines that are written."""
    with db.engine.connect() as connection:
        first = connection.scalar(select(Operation.id).order_by(Operation.id).limit(1)) or 0
        lines = connection.scalars(select(Event.text).where(Event.action == "change").order_by(Event.id)).all()
    jobs = sorted(int(job_id.split("-")[1]) - first for job_id in queued_jobs())
    told = {topic.decode() for topic in queues.redis.hkeys(changes.TOPICS)}
    topics = {"clones": "a", "bases": "b", "consoles": "c"}
    return (
        "".join("abc"[at] for at in jobs),
        "".join(sorted(topics[topic] for topic in told if topic in topics)),
        "".join(map(str, lines)),
    )


def fail(session: Session) -> None:
    with pytest.raises(ZeroDivisionError), session.begin_nested():
        raise ZeroDivisionError


def test_a_savepoint_that_is_undone_takes_nothing_of_the_outer_transaction(act: Callable[..., None]) -> None:
    with transaction() as session:
        act(session, "a")
        fail(session)
        act(session, "b")
        fail(session)
    assert seen() == ("ab", "ab", "ab")


def test_nothing_leaves_before_the_whole_is_committed(act: Callable[..., None]) -> None:
    with transaction() as session:
        act(session, "a")
        with session.begin_nested():
            act(session, "b")
        assert seen() == ("", "", "")
        act(session, "c")
    assert seen() == ("abc", "abc", "abc")


def test_what_was_kept_in_a_savepoint_goes_with_the_one_around_it(act: Callable[..., None]) -> None:
    with transaction() as session:
        act(session, "a")
        with pytest.raises(ZeroDivisionError), session.begin_nested():
            with session.begin_nested():
                act(session, "b")
            raise ZeroDivisionError
        with session.begin_nested():
            act(session, "c")
    assert seen() == ("ac", "ac", "ac")


def test_a_statement_that_fails_in_a_savepoint_takes_what_was_added_in_it(act: Callable[..., None]) -> None:
    with transaction() as session:
        act(session, "a")
        with pytest.raises(IntegrityError), session.begin_nested():
            act(session, "b")
            session.add(User(name="bob"))
            session.flush()
        session.execute(update(User).values(role="user"))
    assert seen() == ("a", "a", "a")


@pytest.mark.parametrize("end", ["rollback", "close"])
def test_nothing_outlives_a_transaction_that_is_given_up(act: Callable[..., None], end: str) -> None:
    session = db.session()
    act(session, "a")
    with session.begin_nested():
        act(session, "b")
    getattr(session, end)()
    with transaction() as session:
        act(session, "c")
    assert seen() == ("c", "c", "c")
