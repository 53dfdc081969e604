"""One clock for all hosts, and what is made of moments that another one wrote."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import literal, select

from ravada_web.clock import SLACK, age, has_come, is_recent, not_recent, now, recent
from ravada_web.extensions import db
from ravada_web.models.types import UtcDateTime
from tests.support.clocks import faked

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
SAYS = """
from datetime import UTC, datetime
from ravada_web import create_app
from ravada_web.clock import now
from ravada_web.extensions import db
with create_app().app_context():
    db.session.connection()
    print(now().timestamp(), datetime.now(UTC).timestamp())
"""


@pytest.mark.parametrize("ahead", [HOUR, MINUTE, timedelta(days=400)])
def test_how_old_a_moment_in_the_future_is_is_unknown_and_it_is_never_recent(ahead: timedelta) -> None:
    assert age(now() + ahead) is None
    assert not is_recent(now() + ahead, HOUR)
    assert age(None) is None


def test_two_readings_of_one_clock_may_differ_a_little() -> None:
    assert age(now() + SLACK / 2) == timedelta()
    assert is_recent(now() + SLACK / 2, MINUTE)


@pytest.mark.parametrize(
    ("off", "come"), [(-HOUR, True), (timedelta(), True), (MINUTE / 2, False), (2 * MINUTE, True), (HOUR, True)]
)
def test_a_moment_that_is_put_off_for_longer_than_it_can_be_has_come(off: timedelta, come: bool) -> None:
    assert has_come(now() + off, MINUTE) is come


@pytest.mark.parametrize(("off", "fresh"), [(-HOUR, False), (-MINUTE / 2, True), (MINUTE, False), (HOUR, False)])
def test_columns_are_judged_alike(migrated_app: Flask, off: timedelta, fresh: bool) -> None:
    moment = literal(now() + off, UtcDateTime)
    assert db.session.execute(select(recent(moment, MINUTE), not_recent(moment, MINUTE))).one() == (fresh, not fresh)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("off", [3600, -3600])
def test_processes_whose_hosts_disagree_by_an_hour_share_the_database_servers_clock(
    migrated_app: Flask, tmp_path: Path, off: int
) -> None:
    environment = os.environ | faked(off)
    environment |= {"RAVADA_DATA": str(tmp_path), "RAVADA_DATABASE_URL": db.engine.url.render_as_string(False)}
    said = subprocess.run([sys.executable, "-c", SAYS], env=environment, capture_output=True, text=True, check=True)
    shared, own = (datetime.fromtimestamp(float(word), UTC) for word in said.stdout.split())
    assert abs(own - datetime.now(UTC) - timedelta(seconds=off)) < 10 * MINUTE, "its own clock is off"
    assert abs(shared - datetime.now(UTC)) < 10 * MINUTE
