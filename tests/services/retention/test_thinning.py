"""Rows that grow: each kind goes at its age, to the archive first, and what is still referred to stays."""

import itertools
import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text, update

from ravada_web.config import Settings, settings
from ravada_web.extensions import db
from ravada_web.models import (
    AuditChain,
    Clone,
    Console,
    Decision,
    Event,
    NodeSample,
    Operation,
    OperationState,
    PoolSample,
    Roster,
    User,
    UserSession,
    now,
)
from ravada_web.services import archive_files
from ravada_web.services.audit import chain
from ravada_web.services.audit.verification import Fault, verify
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.people import users
from ravada_web.services.placements import choice
from ravada_web.services.retention import thinning
from ravada_web.services.sign_in import sessions
from ravada_web.services.transaction import transaction
from tests.support.factories import make_base, make_nodes

LONG_AGO = timedelta(days=400)
# Seconds that a round may go on for, so that it comes to an end on a busy machine too.
PATIENT = 60.0


@pytest.fixture
def administrator(migrated_app: Flask) -> User:
    return users.create(None, "root", "administrator")[0]


def archived(kind: str) -> list[dict[str, Any]]:
    return [row for file in archive_files.files(kind) for row in archive_files.read(file)]


def count(table: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(table)) or 0


def operations(*ages: timedelta, **values: Any) -> list[int]:
    made = {"kind": "node_inspect", "title": "a title", "state": OperationState.DONE, **values}
    with transaction() as session:
        rows = [Operation(**made, finished_at=now() - age) for age in ages]
        session.add_all(rows)
        session.flush()
        return [row.id for row in rows]


def test_old_operations_go_and_are_in_the_archive(administrator: User) -> None:
    old, older, _young = operations(
        LONG_AGO, 2 * LONG_AGO, timedelta(days=1), error="an error", user_id=administrator.id
    )
    assert thinning.thin(PATIENT)["operations"] == 2
    assert count(Operation) == 1
    rows = {row["id"]: row for row in archived("operations")}
    assert set(rows) == {old, older}
    assert (
        json.loads(rows[old]["error"])["figures"] == {"text": "an error"} and rows[old]["user_id"] == administrator.id
    )
    months = {file.name[11:18] for file in archive_files.files("operations")}
    assert months == {row["finished_at"][:7] for row in rows.values()}, "a file a month"


@pytest.mark.parametrize("state", [OperationState.WAITING, OperationState.RUNNING, OperationState.WATCHED])
def test_what_is_not_over_stays_however_old(administrator: User, state: OperationState) -> None:
    operations(LONG_AGO, LONG_AGO, state=state)
    thinning.thin(PATIENT)
    assert count(Operation) == 2


def test_the_last_of_its_kind_about_a_node_and_a_base_stays(administrator: User) -> None:
    nodes = make_nodes(2)
    for node_id in (*nodes, None):
        operations(LONG_AGO, LONG_AGO, node_id=node_id)
        operations(LONG_AGO, LONG_AGO, node_id=node_id, kind="node_fix")
    thinning.thin(PATIENT)
    kept = db.session.execute(select(Operation.kind, Operation.node_id)).all()
    assert (
        set(kept) == {(kind, id_) for kind in ("node_inspect", "node_fix") for id_ in (*nodes, None)} and len(kept) == 6
    )


def test_what_a_clone_refers_to_stays_with_it(administrator: User) -> None:
    base = make_base(make_nodes(3))
    kept = request_clones(administrator, Request(base, 3, "kept", "root")).id
    gone = request_clones(administrator, Request(base, 3, "gone", "root")).id
    other = request_clones(administrator, Request(base, 1, "other", "root")).id
    with transaction() as session:
        session.execute(update(Decision).values(made_at=now() - LONG_AGO))
        session.execute(update(Operation).values(finished_at=now() - LONG_AGO, state=OperationState.DONE))
        session.execute(text("DELETE FROM clones WHERE name LIKE 'gone-%'"))
    had = set(db.session.scalars(select(Clone.operation_id)))
    thinning.thin(PATIENT)
    assert set(db.session.scalars(select(Decision.id))) == {kept, other}
    assert had <= set(db.session.scalars(select(Operation.id)))
    (row,) = archived("decisions")
    assert row["id"] == gone and row["verdicts"]["requested"] == 3
    assert len(choice.explained(db.session.get_one(Decision, kept))["verdicts"]) == 3


def test_the_names_of_nodes_go_with_the_last_decision_about_them(administrator: User) -> None:
    base = make_base(make_nodes(2))
    for number in range(3):
        request_clones(administrator, Request(base, 1, f"n{number}", "root"))
    assert count(Roster) == 1, "the same nodes are named once"
    with transaction() as session:
        session.execute(text("UPDATE nodes SET name = 'renamed' WHERE name = 'n1'"))
    request_clones(administrator, Request(base, 1, "later", "root"))
    with transaction() as session:
        session.execute(text("DELETE FROM clones WHERE name LIKE 'n%'"))
        session.execute(update(Decision).values(made_at=now() - LONG_AGO))
        session.execute(update(Roster).values(made_at=now() - LONG_AGO))
    thinning.thin(PATIENT)
    thinning.thin(PATIENT)
    assert (count(Decision), count(Roster)) == (1, 1)
    assert [name for _id, name in archived("rosters")[0]["nodes"]] == ["n1", "n2"]


def test_consoles_and_sessions_that_ended(administrator: User) -> None:
    request_clones(administrator, Request(make_base(make_nodes(1)), 1, "desk", "root"))
    token = sessions.begin(administrator, "192.0.2.1", "a browser")
    old = sessions.find(sessions.begin(administrator, "192.0.2.1", "an old browser"))
    assert old is not None
    moment, clone = now(), db.session.scalars(select(Clone)).one()
    with transaction() as session:
        for closed in (moment - LONG_AGO, moment - LONG_AGO, None, moment):
            session.add(
                Console(clone_id=clone.id, user_id=administrator.id, sign_in_id=old.id, closed_at=closed, gateway="g",
                        opened_at=moment - 2 * LONG_AGO)
            )  # fmt: skip
        session.execute(update(UserSession).where(UserSession.id == old.id).values(seen_at=moment - LONG_AGO))
    gone = thinning.thin(PATIENT)
    assert (gone["consoles"], gone["sessions"]) == (2, 1)
    assert count(Console) == 2 and sessions.find(token) is not None
    (row,) = archived("sessions")
    assert row["agent"] == "an old browser" and "token_hash" not in row


def test_only_the_coarsest_samples_are_archived(administrator: User) -> None:
    (node_id,) = make_nodes(1)
    with transaction() as session:
        for step in (15, 300, 7200):
            session.add(NodeSample(node_id=node_id, step=step, at=now() - LONG_AGO, cpu_load=0.5))
        session.add(NodeSample(node_id=node_id, step=7200, at=now(), cpu_load=0.5))
    thinning.thin(PATIENT)
    assert [(row["step"], row["cpu_load"]) for row in archived("node_samples")] == [(7200, 0.5)]
    assert count(NodeSample) == 3 and count(PoolSample) == 0


def age_events(session: Any, most: int) -> None:
    """Make the first lines old, their chain with them, as if they had been written then."""
    sqlite = db.engine.dialect.name == "sqlite"
    session.execute(
        text("DROP TRIGGER events_kept_from_update" if sqlite else "ALTER TABLE events DISABLE TRIGGER USER")
    )
    last = ""
    for row in session.scalars(select(Event).order_by(Event.id)):
        if row.id <= most:
            row.at = now() - 3 * LONG_AGO
        line = {name: getattr(row, name) for name in chain.FIELDS} | {
            "at": chain.moment(row.at),
            "text": row.text.dumps(),
        }
        last = row.digest = chain.digest(last, line)
    session.flush()
    session.execute(update(AuditChain).values(head_digest=last))
    if not sqlite:
        session.execute(text("ALTER TABLE events ENABLE TRIGGER USER"))


def test_old_lines_of_the_audit_log_are_proved_from_the_archive_on(administrator: User) -> None:
    for number in range(9):
        users.create(None, f"person{number}", "user")
    with transaction() as session:
        age_events(session, 6)
    noted = verify().last_digest
    assert thinning.thin(PATIENT)["events"] == 6
    assert (count(Event), [row["id"] for row in archived("events")]) == (4, [1, 2, 3, 4, 5, 6])
    users.create(None, "later", "user")
    proof = verify(noted)
    assert (proof.fault, proof.kept, proof.archived, proof.unseen) == (Fault.NONE, 5, 6, False)


@pytest.mark.parametrize(
    ("tamper", "fault", "line"),
    [
        (lambda rows: [*rows[:2], {**rows[2], "actor": "mallory"}, *rows[3:]], Fault.LINE, 3),
        (lambda rows: [*rows[:2], *rows[3:]], Fault.LINE, 4),
        (lambda rows: rows[1:], Fault.LINE, 2),
        (lambda rows: rows[:-1], Fault.ARCHIVE_END, None),
    ],
)
def test_an_archive_that_was_tampered_with_is_found(app: Flask, tamper: Any, fault: Fault, line: int | None) -> None:
    for number in range(10):
        users.create(None, f"person{number}", "user")
    with transaction() as session:
        age_events(session, 6)
    thinning.thin(PATIENT)
    (file,) = archive_files.files("events")
    rows, month = list(archive_files.read(file)), file.name[7:14]
    file.unlink()
    archive_files.append("events", month, tamper(rows))
    proof = verify()
    assert (proof.fault, proof.line and proof.line["id"]) == (fault, line)


def test_an_archive_that_is_elsewhere_is_said(administrator: User, migrated_app: Flask) -> None:
    users.create(None, "other", "user")
    with transaction() as session:
        age_events(session, 1)
    thinning.thin(PATIENT)
    (file,) = archive_files.files("events")
    file.unlink()
    answer = migrated_app.test_cli_runner().invoke(args=["audit", "verify"])
    assert answer.exit_code == 3 and "not in the archive folder" in answer.output


def test_a_clock_that_is_ahead_makes_nothing_old(administrator: User, monkeypatch: pytest.MonkeyPatch) -> None:
    operations(timedelta(days=1), timedelta(days=1))
    monkeypatch.setattr(thinning, "now", lambda: now() + timedelta(days=365))
    assert thinning.thin(PATIENT)["operations"] == 0


def test_a_full_disk_of_the_archive_deletes_nothing(administrator: User) -> None:
    operations(LONG_AGO, LONG_AGO)
    archive_files.folder().write_text("in the way")
    thinning.thin(PATIENT)
    assert count(Operation) == 2


def test_a_lot_goes_in_small_steps_while_others_write(
    administrator: User, migrated_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    operations(*[LONG_AGO] * 701)
    minutes = itertools.count()
    monkeypatch.setattr(thinning, "_minute", lambda: next(minutes))
    done = threading.Event()
    written: list[str] = []

    def write() -> None:
        with migrated_app.app_context():
            while not done.is_set():
                written.append(users.create(None, f"meanwhile{len(written)}", "user")[0].name)
            db.session.remove()

    other = threading.Thread(target=write)
    other.start()
    try:
        # Without time, a round is one step of one kind: the next round takes the next kind.
        steps = [thinning.thin(0.0).get("operations", 0) for _round in range(32)]
    finally:
        done.set()
        other.join()
    assert max(steps) == thinning.ROWS and sum(steps) == 700 and written
    assert count(Operation) == 1 and len(archived("operations")) == 700
    assert verify().fault == Fault.NONE


def test_the_setting_says_how_long(administrator: User, migrated_app: Flask, tmp_path: Path) -> None:
    operations(LONG_AGO, LONG_AGO)
    migrated_app.extensions["settings"] = settings().model_copy(update={"keep_days": {"operations": 1000.0}})
    assert thinning.thin(PATIENT)["operations"] == 0
    with pytest.raises(ValueError, match="keep_days"):
        Settings(data=tmp_path, keep_days={"operation": 9})
    with pytest.raises(ValueError, match="keep_days"):
        Settings(data=tmp_path, keep_days={"events": 0.5})


def test_the_command_line_runs_lists_and_shows_it(administrator: User, migrated_app: Flask) -> None:
    operations(LONG_AGO, LONG_AGO, error="a rare word")
    run = migrated_app.test_cli_runner().invoke
    assert {"kind": "operations", "rows": 1} in json.loads(run(args=["archive", "run", "--json"]).output)
    (row,) = json.loads(run(args=["archive", "list", "--json"]).output)
    assert "a rare word" in run(args=["archive", "show", row["file"], "--search", "RARE"]).output
    assert run(args=["archive", "show", row["file"], "--search", "no such word"]).output == ""
    assert run(args=["archive", "show", "../ravada.sqlite"]).exit_code == 1
