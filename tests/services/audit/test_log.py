"""The audit log: only added to, on both databases; every action has a word; refusals are in it, and cannot fill it."""

import csv
import re

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ravada_web import ROOT
from ravada_web.errors import NotAllowed
from ravada_web.extensions import db, queues
from ravada_web.models import Event
from ravada_web.services.audit import log as audit_log
from ravada_web.services.audit import refusals
from ravada_web.services.operations.kinds import KINDS
from ravada_web.services.people import users
from ravada_web.services.sign_in import passwords
from ravada_web.services.transaction import transaction
from ravada_web.web.labels.audit import ACTIONS, OBJECTS
from tests.conftest import PASSWORD, People


@pytest.mark.parametrize("statement", ["UPDATE events SET actor = 'somebody else'", "DELETE FROM events"])
def test_lines_can_only_be_added(migrated_app: Flask, statement: str) -> None:
    users.create(None, "somebody", "user")
    before = db.session.query(Event).count()
    db.session.rollback()
    with pytest.raises(DBAPIError, match="append-only"), transaction() as session:
        session.execute(text(statement))
    assert db.session.query(Event).count() == before > 0


def test_every_action_that_is_recorded_has_a_word() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "ravada_web/services").rglob("*.py"))
    calls = re.findall(r'events\.record\(\s*\w+,\s*[^,]+(?:\([^)]*\))?,\s*((?:"\w+"|[^,])+?),', source)
    named = {word for call in calls for word in re.findall(r'"(\w+)"', call)}
    # Clones' actions are named after the kinds of their operations.
    named = (named - {"clones_"}) | {kind.removeprefix("clones_") for kind in KINDS if kind.startswith("clones_")}
    assert {"create", "restart", "refuse_viewers"} <= named
    assert named - set(ACTIONS) == set()
    assert {"node", "base", "clone", "cluster", "user", "group", "operation"} == set(OBJECTS)


def test_only_administrators_read_it(people: People) -> None:
    for person in (people.user, people.operator):
        with pytest.raises(NotAllowed):
            audit_log.listing(person, audit_log.Filters())
        with pytest.raises(NotAllowed):
            audit_log.export(person, audit_log.Filters())


def test_filters_leave_what_they_say(app: Flask, people: People) -> None:
    passwords.reset_password(people.administrator, people.user, PASSWORD)
    seen = audit_log.listing(people.administrator, audit_log.Filters(actor="administrator", action="reset_password"))
    assert [(line.object_name, line.result) for line in seen.items] == [("user", "done")]
    assert audit_log.listing(people.administrator, audit_log.Filters(since="2999-01-01")).total == 0
    assert audit_log.listing(people.administrator, audit_log.Filters(until="2000-01-01")).total == 0
    assert audit_log.listing(people.administrator, audit_log.Filters(since="no day")).total > 0


def test_the_export_goes_past_one_batch(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_log, "BATCH", 2)
    lines = csv.DictReader(audit_log.export(people.administrator, audit_log.Filters()))
    shown = audit_log.listing(people.administrator, audit_log.Filters()).items
    assert len(shown) >= 4
    assert [(line["action"], line["object_name"]) for line in lines] == [(row.action, row.object_name) for row in shown]


def test_the_export_holds_no_formula(people: People) -> None:
    with transaction() as session:
        session.add(Event(actor="=1+1", action="create", object_kind="user", text="-2"))
    newest = next(csv.DictReader(audit_log.export(people.administrator, audit_log.Filters())))
    assert (newest["actor"], newest["text"], newest["object_id"]) == ("'=1+1", "'-2", "")


def a_minute_passes() -> None:
    for key in queues.redis.keys("LIMITS*"):
        queues.redis.delete(key)


def refused_lines() -> list[tuple[str, str]]:
    rows = db.session.query(Event).filter_by(result="refused").order_by(Event.id)
    return [(row.actor, str(row.text)) for row in rows]


def test_refusals_of_one_person_are_one_line_a_minute_with_a_count(people: People) -> None:
    for number in range(5):
        refusals.record_refusal(people.user, f"GET /nodes/{number}")
    refusals.record_refusal(people.other, "GET /audit")
    refusals.write_waiting()
    assert refused_lines() == [("user", "GET /nodes/0"), ("other", "GET /audit")]
    assert refusals.waiting()
    a_minute_passes()
    refusals.write_waiting()
    assert refused_lines()[2:] == [("user", "4 requests, the last one GET /nodes/4")]
    assert not refusals.waiting()
    a_minute_passes()
    refusals.write_waiting()
    assert len(refused_lines()) == 3


def test_what_waits_is_written_with_the_next_refusal(people: People) -> None:
    for number in range(3):
        refusals.record_refusal(people.user, f"GET /nodes/{number}")
    a_minute_passes()
    refusals.record_refusal(people.user, "GET /audit")
    assert refused_lines() == [("user", "GET /nodes/0"), ("user", "3 requests, the last one GET /audit")]


def test_refusals_of_somebody_who_is_gone_are_dropped(people: People) -> None:
    for number in range(2):
        refusals.record_refusal(people.other, f"GET /nodes/{number}")
    with transaction() as session:
        session.delete(people.other)
    a_minute_passes()
    refusals.write_waiting()
    assert not refusals.waiting() and len(refused_lines()) == 1


def test_without_redis_refusals_are_still_recorded(people: People) -> None:
    queues.connect("unix:///nonexistent/redis.sock")
    refusals.record_refusal(people.user, "GET /nodes")
    assert refused_lines() == [("user", "GET /nodes")]
