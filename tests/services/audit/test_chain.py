"""The audit log proves itself: nothing changes a line, whatever statement is used; and where somebody has taken the
database's own guards away, the chain names the first line that does not fit.
"""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import TextClause, text
from sqlalchemy.exc import DBAPIError

from ravada_web.extensions import db
from ravada_web.models import AuditChain, Event
from ravada_web.services.audit import events
from ravada_web.services.audit.verification import Fault, verify
from ravada_web.services.people import users
from ravada_web.services.transaction import transaction

COPIED = "at, actor, action, object_kind, object_name, text, address, result, digest"
FORGED = "at, 'mallory', action, object_kind, object_name, text, address, result, digest"
BOTH = [
    "UPDATE events SET actor = 'mallory'",
    "DELETE FROM events",
    "DELETE FROM events WHERE id = (SELECT max(id) FROM events)",
    # A line in the past, where none is.
    "INSERT INTO events (id, COPIED) SELECT -1, FORGED FROM events WHERE id = 1",
    "INSERT INTO events (id, COPIED) SELECT 1, FORGED FROM events WHERE id = 1 "
    "ON CONFLICT (id) DO UPDATE SET actor = 'mallory'",
    # What says where the log begins and ends.
    "UPDATE audit_chain SET head_id = head_id - 1",
    "UPDATE audit_chain SET anchor_id = head_id + 1",
    "DELETE FROM audit_chain",
    "INSERT INTO audit_chain (id, head_id, head_digest, anchor_id, anchor_digest) VALUES (2, -9, '', 9, '')",
]
SQLITE = [
    "INSERT OR REPLACE INTO events (id, COPIED) SELECT 1, FORGED FROM events WHERE id = 1",
    "REPLACE INTO events (id, COPIED) SELECT id, FORGED FROM events",
    "UPDATE OR REPLACE events SET id = 2 WHERE id = 1",
    "REPLACE INTO audit_chain (id, head_id, head_digest, anchor_id, anchor_digest) VALUES (1, 0, '', 0, '')",
]
POSTGRESQL = [
    "TRUNCATE events",
    "TRUNCATE audit_chain",
    "MERGE INTO events USING (SELECT 1 AS n) AS one ON id = one.n WHEN MATCHED THEN UPDATE SET actor = 'mallory'",
    "MERGE INTO events USING (SELECT 1 AS n) AS one ON events.id = one.n WHEN MATCHED THEN DELETE",
]


def sql(statement: str) -> TextClause:
    return text(statement.replace("COPIED", COPIED).replace("FORGED", FORGED))


def _people(count: int) -> None:
    for number in range(count):
        users.create(None, f"person{number}", "user")


@pytest.mark.parametrize("recursive", ["ON", "OFF"])
def test_no_statement_changes_a_line(migrated_app: Flask, recursive: str) -> None:
    _people(3)
    sqlite = db.engine.dialect.name == "sqlite"
    for statement in (*BOTH, *(SQLITE if sqlite else POSTGRESQL)):
        with pytest.raises(DBAPIError, match="audit log"), transaction() as session:
            if sqlite:  # other programs that open the file may leave it off
                session.connection().exec_driver_sql(f"PRAGMA recursive_triggers={recursive}")
            session.execute(sql(statement))
    proof = verify()
    assert (proof.fault, proof.kept) == (Fault.NONE, 3)


def test_replacing_fires_the_triggers_of_a_deletion(app: Flask) -> None:
    assert db.session.execute(text("PRAGMA recursive_triggers")).scalar() == 1


def _without_guards(*statements: str) -> None:
    """What somebody does who may do all in the database."""
    off = {
        "sqlite": [
            "DROP TRIGGER events_kept_from_update",
            "DROP TRIGGER events_kept_from_delete",
            "DROP TRIGGER events_added_last",
        ],
        "postgresql": ["ALTER TABLE events DISABLE TRIGGER ALL"],
    }
    with transaction() as session:
        for statement in (*off[db.engine.dialect.name], *statements):
            session.execute(sql(statement))


@pytest.mark.parametrize(
    ("tampering", "fault", "line"),
    [
        ("UPDATE events SET actor = 'mallory' WHERE id = 3", Fault.LINE, 3),
        ("UPDATE events SET result = 'refused' WHERE id = 5", Fault.LINE, 5),
        ("UPDATE events SET digest = 'of my own' WHERE id = 2", Fault.LINE, 2),
        ("DELETE FROM events WHERE id = 3", Fault.LINE, 4),
        ("DELETE FROM events WHERE id = 1", Fault.LINE, 2),
        ("DELETE FROM events WHERE id > 4", Fault.END, None),
        ("DELETE FROM events", Fault.END, None),
        ("UPDATE events SET id = id + 7 WHERE id > 2", Fault.LINE, 10),
        ("INSERT INTO events (id, COPIED) SELECT 6, COPIED FROM events WHERE id = 5", Fault.LINE, 6),
    ],
)
def test_what_was_tampered_with_is_named(app: Flask, tampering: str, fault: Fault, line: int | None) -> None:
    _people(5)
    _without_guards(tampering)
    proof = verify()
    assert (proof.fault, proof.line and proof.line["id"]) == (fault, line)


def test_a_log_that_was_rewritten_as_a_whole_lacks_the_hash_that_was_noted(migrated_app: Flask) -> None:
    _people(2)
    noted = verify().last_digest
    _people_more = users.create(None, "later", "user")
    assert _people_more and verify(noted).fault == Fault.NONE
    assert verify("of another log").fault == Fault.NOTED


def test_lines_of_a_transaction_are_chained_in_their_order(migrated_app: Flask) -> None:
    person, _password = users.create(None, "alice", "user")
    with transaction() as session:
        for number in range(50):
            events.record(session, person, "create", person, f"line {number}")
        # It is read by others only once it is written at the end.
        events.record_users(session, person, [(person.id, person.name, "change")] * 3, "many")
    words = [str(row.text) for row in db.session.query(Event).order_by(Event.id)]
    assert words[1:] == [*(f"line {number}" for number in range(50)), *["many"] * 3]
    ends = db.session.query(AuditChain).one()
    proof = verify()
    assert (proof.fault, proof.kept, proof.last_digest) == (Fault.NONE, 54, ends.head_digest)


@pytest.mark.parametrize("inner", [False, True])
def test_a_line_goes_with_its_savepoint(migrated_app: Flask, inner: bool) -> None:
    person, _password = users.create(None, "alice", "user")
    with transaction() as session:
        events.record(session, person, "create", person, "before")
        with pytest.raises(ZeroDivisionError), session.begin_nested():
            events.record(session, person, "create", person, "undone")
            if inner:
                with session.begin_nested():
                    events.record(session, person, "create", person, "undone with what it was in")
            session.flush()
            raise ZeroDivisionError
        with session.begin_nested():
            events.record(session, person, "create", person, "kept")
    with pytest.raises(ZeroDivisionError), transaction() as session:
        events.record(session, person, "create", person, "rolled back")
        raise ZeroDivisionError
    lines = [str(row.text) for row in db.session.query(Event).order_by(Event.id)]
    assert lines[1:] == ["before", "kept"]
    assert verify().fault == Fault.NONE


def test_the_command_says_it_in_a_line(migrated_app: Flask) -> None:
    run: Callable[..., object] = migrated_app.test_cli_runner().invoke
    _people(2)
    good = run(args=["audit", "verify"])
    assert (good.exit_code, good.output.splitlines()[0]) == (0, "2 lines fit, 0 of them in the archive.")  # type: ignore[attr-defined]
    _without_guards("UPDATE events SET object_name = 'somebody' WHERE id = 2")
    bad = run(args=["audit", "verify"])
    assert bad.exit_code == 1 and "Line 2 (" in bad.output and "does not fit" in bad.output  # type: ignore[attr-defined]
