"""Messages in rows, on both kinds of database: kept and read back, rows of before, compared and searched."""

import pytest
from flask import Flask
from sqlalchemy import insert, select
from sqlalchemy import text as sql

from ravada_web.extensions import db
from ravada_web.messages import NOTHING, Message, message, text
from ravada_web.messages.texts import TEXTS
from ravada_web.models import Operation
from ravada_web.models.mentions import mentions
from ravada_web.services.transaction import transaction

REASON = message("remote.link_down", name="kvm-ñandú")
DEEP = message(
    "placement.blocked", nodes=["alpha", "beta"], reason=message("nodes.libvirt_silent", why=text("x_y 50%"))
)


def keep(**titles: Message | str) -> None:
    with transaction() as session:
        for kind, title in titles.items():
            session.add(Operation(kind=kind, title=title))


def found(part: str) -> list[str]:
    query = select(Operation.kind).where(mentions(Operation.title, part)).order_by(Operation.kind)
    return list(db.session.scalars(query))


def test_a_message_is_kept_and_read_back(migrated_app: Flask) -> None:
    keep(a=REASON, b=DEEP, c="a plain one", d=NOTHING)
    db.session.expire_all()
    rows = {row.kind: row.title for row in db.session.scalars(select(Operation))}
    assert rows == {"a": REASON, "b": DEEP, "c": text("a plain one"), "d": NOTHING}
    kept = dict(db.session.execute(sql("SELECT kind, title FROM operations")).all())
    assert kept["a"] == '{"kind":"remote.link_down","figures":{"name":"kvm-ñandú"}}' and kept["d"] == ""


def test_a_row_of_before_keeps_its_sentence(migrated_app: Flask) -> None:
    keep(new=REASON)
    with transaction() as session:
        session.execute(sql("UPDATE operations SET title = 'Create 3 clones', error = '{half'"))
    row = db.session.scalars(select(Operation)).one()
    assert (str(row.title), str(row.error)) == ("Create 3 clones", "{half")
    assert found("3 CLONES") == ["new"] and found("kvm") == []


def test_a_message_that_changes_is_written_and_one_that_does_not_is_not(migrated_app: Flask) -> None:
    keep(a=REASON)
    with transaction() as session:
        row = session.scalars(select(Operation)).one()
        row.title = message("remote.link_down", name="kvm-ñandú")
        assert not session.is_modified(row)
        row.title = message("remote.link_down", name="other")
        assert session.is_modified(row)
    assert db.session.scalar(select(Operation.kind).where(Operation.title == message("remote.link_down", name="other")))
    assert db.session.scalar(select(Operation.kind).where(Operation.title == REASON)) is None


@pytest.mark.parametrize(
    ("part", "kinds"),
    [
        ("KVM-ñ", ["a"]),
        ("alpha", ["b"]),
        ("x_y", ["b"]),
        ("50%", ["b"]),
        ("xzy", []),
        ("plain", ["c"]),
        ('say "hello"', ["e"]),
        ("figures", []),
        ("nodes", []),
        ("kind", []),
        ("is down", ["a"]),
        ("Élodie", ["f"]),
        ("25", ["f"]),
    ],
)
def test_a_search_looks_at_figures_and_texts_and_not_at_their_names(
    migrated_app: Flask, part: str, kinds: list[str]
) -> None:
    keep(a=REASON, b=DEEP, c="a plain one", d=NOTHING, e='they say "hello"')
    keep(f=message("clones.requested_for", count=25, owner="Élodie"))
    assert found(part) == kinds


def test_a_search_may_be_in_the_texts_of_any_number_of_kinds(
    migrated_app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2000):
        monkeypatch.setitem(TEXTS, f"tests.kind_{number}", "So it is.")
    keep(a=message("tests.kind_1999"), b=message("tests.kind_19"), c=text("kept"))
    assert found("so it") == ["a", "b"]


def test_many_rows_are_written_at_once(migrated_app: Flask) -> None:
    rows = [{"kind": str(number), "title": message("remote.link_down", name=f"n{number}")} for number in range(3)]
    with transaction() as session:
        session.execute(insert(Operation), rows)
    assert found("n1") == ["1"]
