"""People as a table: what is refused and where, what is previewed, what is done, and that it is quick enough."""

import csv
import io
import json
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from ravada_web.config import settings
from ravada_web.errors import Conflict, NotAllowed, NotFound
from ravada_web.extensions import db, queues
from ravada_web.identity.sealing import Purpose, unseal
from ravada_web.messages import Message, message
from ravada_web.models import Event, Group, Role, User
from ravada_web.services.people import csv_import, csv_rows, csv_text, groups, users
from ravada_web.services.people.csv_rows import BadTable
from ravada_web.services.people.quotas import Quota
from ravada_web.services.sign_in import passwords, sessions
from ravada_web.services.transaction import transaction
from tests.conftest import PASSWORD, People
from tests.support.redis_words import everything
from tests.support.refusals import refused

SECONDS = 10


@pytest.fixture
def classes(people: People) -> list[Group]:
    return [groups.create(people.administrator, name=name) for name in ("3a", "3b")]


def bad_lines(people: People, text: str | bytes) -> list[tuple[int, Message]]:
    content = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(BadTable) as caught:
        csv_import.preview(people.administrator, content)
    assert queues.redis.keys("ravada:people:*") == []
    assert count() == 4
    return [(line.number, line.reason) for line in caught.value.lines]


def take(people: People, text: str) -> csv_import.Preview:
    preview = csv_import.preview(people.administrator, text.encode())
    return csv_import.import_rows(people.administrator, preview.key)


def count() -> int:
    return db.session.scalar(select(func.count()).select_from(User)) or 0


def user(name: str) -> User:
    found = users.find(name)
    assert found is not None, name
    return found


def test_a_table_is_previewed_then_done(people: People, classes: list[Group]) -> None:
    text = (
        "name,role,active,groups,most_clones,most_running,most_memory_mib\n"
        "alice,,,3a;3b,2,1,4096\n"
        "bob,operator,no,,,,\n"
        "user,,,3b,,,\n"
        "other,user,yes,,,,\n"
    )
    preview = csv_import.preview(people.administrator, text.encode())
    assert (preview.created, preview.changed, preview.left) == (["alice", "bob"], ["user"], 1)
    assert csv_import.stored_preview(people.administrator, preview.key) == preview
    assert count() == 4
    assert csv_import.import_rows(people.administrator, preview.key) == preview
    alice, bob = user("alice"), user("bob")
    assert [group.name for group in alice.groups] == ["3a", "3b"]
    assert (alice.role, alice.active, alice.most_clones, alice.most_running) == (Role.USER, True, 2, 1)
    assert (bob.role, bob.active, bob.most_clones) == (Role.OPERATOR, False, None)
    assert [group.name for group in user("user").groups] == ["3b"]
    said = db.session.execute(
        select(Event.object_name, Event.action).where(Event.text == message("people.by_import"))
    ).all()
    assert sorted(map(tuple, said)) == [("alice", "create"), ("bob", "create"), ("user", "edit")]
    assert {
        row.actor for row in db.session.scalars(select(Event).where(Event.text == message("people.by_import")))
    } == {"administrator"}


def test_who_has_no_password_in_it_cannot_sign_in_until_it_is_reset(people: People) -> None:
    take(people, "name\nalice\n")
    assert user("alice").must_change_password
    for guess in ("", "x", "alice"):
        assert passwords.authenticate("alice", guess) is None
    password = passwords.reset_password(people.administrator, user("alice"), PASSWORD)
    assert passwords.authenticate("alice", password) == user("alice")


def test_passwords_are_hashed_before_they_are_kept(people: People) -> None:
    text = f"name;password\nalice;{PASSWORD}\nuser;another password\n"
    token = sessions.begin(people.user, "192.0.2.1", "a test")
    preview = csv_import.preview(people.administrator, text.encode())
    assert preview.confirm
    (key,) = queues.redis.keys("ravada:people:*")
    sealed = queues.redis.get(key)
    assert isinstance(sealed, bytes)
    kept = unseal(sealed.decode(), Purpose.USERS_TABLE, settings().secret_key()) or ""
    assert "$argon2id$" in kept
    assert PASSWORD not in kept and "another" not in kept
    assert 0 < queues.redis.ttl(key) <= 600
    csv_import.import_rows(people.administrator, preview.key, PASSWORD)
    assert passwords.authenticate("alice", PASSWORD) == user("alice")
    assert not user("alice").must_change_password
    assert passwords.authenticate("user", "another password") and not passwords.authenticate("user", PASSWORD)
    assert sessions.find(token) is None


def test_passwords_are_hashed_a_few_at_a_time_and_sealed_until_then(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_import, "HASH_SECONDS", 0)
    text = f"name,password\nalice,{PASSWORD}\nbob,another password\ncarol,a third password\n"
    preview = csv_import.preview(people.administrator, text.encode())
    assert (preview.hashed, preview.passwords, preview.ready) == (1, 3, False)
    (key,) = queues.redis.keys("ravada:people:*")
    kept = queues.redis.get(key)
    assert isinstance(kept, bytes) and b"another" not in kept and b"third" not in kept
    with refused(Conflict, "people.import_not_ready"):
        csv_import.import_rows(people.administrator, preview.key)
    assert csv_import.hash_more(people.administrator, preview.key).hashed == 2
    assert 0 < queues.redis.ttl(key) <= 600
    assert csv_import.hash_more(people.administrator, preview.key).ready
    csv_import.import_rows(people.administrator, preview.key)
    assert passwords.authenticate("carol", "a third password") == user("carol")
    with pytest.raises(NotFound):
        csv_import.hash_more(people.administrator, preview.key)
    assert queues.redis.keys("ravada:people:*") == []


def test_a_column_that_is_not_there_changes_nothing(people: People, classes: list[Group]) -> None:
    users.edit(people.administrator, people.user, role="operator", group_ids=[classes[0].id], most=Quota(1, 2, 3))
    done = take(people, "name,active\nuser,no\n")
    assert done.changed == ["user"]
    found = user("user")
    assert (found.role, found.active, found.most_clones, found.most_memory_mib) == (Role.OPERATOR, False, 1, 3)
    assert [group.name for group in found.groups] == ["3a"]
    take(people, "name,groups,most_clones\nuser,,\n")
    found = user("user")
    assert (found.groups, found.most_clones, found.most_running) == ([], None, 2)


def test_who_is_switched_off_is_signed_out(people: People) -> None:
    token = sessions.begin(people.user, "192.0.2.1", "a test")
    take(people, "name,active\nuser,no\n")
    assert sessions.find(token) is None


@pytest.mark.parametrize(
    "text",
    [
        '\ufeffname;role;groups\nalice;user;"3a;3b"\n',
        "NAME\tRole\tgroups\r\nalice\tUSER\t3a; 3b\r\n",
        '"name","role","groups"\n"alice"," user ","3a;3b;3a"\n\n  ,  ,\n',
        "role,groups,name\nuser,3a;3b,alice",
        "name,role,groups,,,\r\nalice,user,3a;3b,,,\r\n,,,,,\r\n,,,,,\r\n",
        "name,,role,groups\nalice,,user,3a;3b\n",
        'sep=;\r\nname;role;groups\r\nalice;user;"3a;3b"\r\n',
        '\ufeff"sep=;"\nname;role;groups\nalice;user;"3a;3b";;\n',
        "sep=,;;\nname,role,groups\nalice,user,3a;3b\n",
        "sep=|\nname|role|groups\nalice|user|3a;3b\n",
        "sep=\t\nname\trole\tgroups\nalice\tuser\t3a;3b\n",
        '"name" ; "role"; " groups "\r\n"alice" ; "user"; "3a;3b" \r\n',
        '"name" ,"role" ,"groups"\t\n "alice", "user" ,\t"3a;3b"',
        '"Name"\t "ROLE" \t"groups"\n"alice" \tuser\t"3a;3b"\n',
        "\n;;\n\nname;groups\nalice;3a;3b\n".replace("3a;3b", '"3a;3b"'),
        'name,role,groups\ralice,user,"3a;3b"\r',
    ],
    ids=[
        "a spreadsheet's, with its mark",
        "tabs",
        "quotes and empty lines",
        "another order, no last line's end",
        "empty columns and lines at the end",
        "an empty column between",
        "a line that says what cells are apart by",
        "the same in quotes, with the mark",
        "the same, saved again by a spreadsheet of another country",
        "apart by a bar",
        "apart by tabs, as it says",
        "blanks around quotes",
        "blanks and tabs around quotes",
        "blanks around quotes, apart by tabs",
        "empty lines first",
        "lines that end as on an old Mac",
    ],
)
def test_as_spreadsheets_write_it(people: People, classes: list[Group], text: str) -> None:
    assert take(people, text).created == ["alice"]
    assert [group.name for group in user("alice").groups] == ["3a", "3b"]


BAD = [
    ("", [(1, "csv_no_name_column")]),
    ("role\nuser\n", [(1, "csv_no_name_column")]),
    ("name,shoe size,colour\nalice,1,2\n", [(1, "csv_unknown_column"), (1, "csv_unknown_column")]),
    ("name,role,name\nalice,user,bob\n", [(1, "csv_column_twice")]),
    ("name\n", [(0, "csv_empty")]),
    ("name\nalice\nbob\nalice\n", [(4, "csv_name_twice")]),
    ("name\n<b>\n", [(2, "csv_bad_name")]),
    ("sep=;\nname;role\n<b>;user\n", [(3, "csv_bad_name")]),
    ("name,,role\nalice,oops,user\n", [(2, "csv_nameless_column")]),
    ("name,role,,\nalice,user,,oops\n", [(2, "csv_too_many_cells")]),
    ("name,role\nAna.Lopez@x.example,user\nana.lopez@x.example,user\n", [(3, "csv_names_alike")]),
    ("name\nalice\nALICE\nAlice\n", [(3, "csv_names_alike"), (4, "csv_names_alike")]),
    ("name\nUser\n", [(2, "name_taken_but_for_case")]),
    ("name,role\nADMINISTRATOR,user\n", [(2, "name_taken_but_for_case")]),
    ("name,role\nalice,root\n", [(2, "csv_bad_role")]),
    ("name,active\nalice,perhaps\n", [(2, "csv_bad_active")]),
    ("name,groups\nalice,3a;4c\n", [(2, "no_group_called")]),
    ("name,most_clones\nalice,many\nbob,-1\ncarol,1e3\n", [(line, "csv_not_a_number") for line in (2, 3, 4)]),
    ("name,most_clones\nalice,100001\n", [(2, "csv_bad_quota")]),
    ("name,password\nalice,short\n", [(2, "csv_short_password")]),
    ("name,role\nalice,user,more\n", [(2, "csv_too_many_cells")]),
    ("name,role\nalice,user\nadministrator,user\n", [(3, "csv_own_row")]),
    ("name,active\nadministrator,no\n", [(2, "csv_own_row")]),
    ("name,role,active\nalice,root,perhaps\n", [(2, "csv_bad_role"), (2, "csv_bad_active")]),
    ('name,role\n"alice,user\n', [(2, "csv_broken")]),
    (b"name\nJos\xe9\n", [(0, "csv_not_utf8")]),
    (b"PK\x03\x04\x00\x00name", [(0, "csv_not_text")]),
]


@pytest.mark.parametrize(("text", "expected"), BAD)
def test_every_bad_line_is_named_and_nothing_is_done(
    people: People, classes: list[Group], text: str | bytes, expected: list[tuple[int, str]]
) -> None:
    found = bad_lines(people, text)
    assert [(number, reason.kind) for number, reason in found] == [
        (number, f"people.{kind}") for number, kind in expected
    ]


def test_the_first_fifty_bad_lines_are_shown_and_all_are_counted(people: People) -> None:
    text = "name,role\n" + "".join(f"u{number},root\n" for number in range(120))
    with pytest.raises(BadTable) as caught:
        csv_import.preview(people.administrator, text.encode())
    assert (len(caught.value.lines), caught.value.count) == (50, 120)
    assert [line.number for line in caught.value.lines] == list(range(2, 52))


@pytest.mark.parametrize(
    "line",
    ["x\n", "<b>,root,perhaps,no such group\n", "alice\n", "a,,,g1;g2;g3;g4;g5;g6;g7\n", '"a ""quoted"" one",root\n'],
    ids=["short", "all wrong", "one name twice", "unknown groups", "quotes"],
)
def test_what_is_no_table_is_not_read_to_its_end(people: People, line: str) -> None:
    text = "name,role,active,groups\n" + line * ((4 << 20) // len(line))
    with pytest.raises(BadTable) as caught:
        csv_import.preview(people.administrator, text.encode())
    assert csv_rows.MOST_BAD < caught.value.count < csv_rows.MOST_BAD + 20
    assert caught.value.lines[0] == csv_rows.BadLine(0, message("people.csv_too_many_errors"))


@pytest.mark.parametrize(
    "text",
    [
        "name" + ",x" * 2_000_000,
        "name\nalice" + "," * 4_000_000,
        "name" + "\n" * 4_000_000 + "x",
        "name\n" + ",\n" * 2_000_000,
    ],
    ids=["wide", "a wide line", "long", "long and empty"],
)
def test_a_table_is_neither_wider_nor_longer_than_people_make_them(people: People, text: str) -> None:
    ((_number, reason), *_more) = bad_lines(people, text)
    assert reason.kind == "people.csv_broken"


def test_at_most_two_hundred_passwords(people: People) -> None:
    text = "name,password\n" + "".join(f"u{number},{PASSWORD}\n" for number in range(202))
    found = bad_lines(people, text)
    assert [number for number, _reason in found] == [202, 203]
    assert found[0][1] == message("people.csv_too_many_passwords", most=200)


def test_at_most_ten_thousand_rows(people: People) -> None:
    found = bad_lines(people, "name\n" + "".join(f"u{number}\n" for number in range(10_002)))
    assert [reason for _number, reason in found] == [message("people.csv_too_many", most=10_000)]


@pytest.mark.clock
def test_ten_thousand_rows_are_done_within_seconds(people: People, classes: list[Group], dear_passwords: None) -> None:
    def table(most: int) -> str:
        rows = (f"u{number:05},user,yes,{'3a;3b' if number % 2 else '3a'},{most},," for number in range(10_000))
        return "name,role,active,groups,most_clones,most_running,most_memory_mib\n" + "\n".join(rows)

    def taken(most: int) -> csv_import.Preview:
        begun = time.monotonic()
        done = take(people, table(most))
        assert time.monotonic() - begun < SECONDS, "one hash for each row would be minutes"
        return done

    done = taken(1)
    assert (len(done.created), len(done.changed), done.left) == (10_000, 0, 0)
    assert count() == 10_004
    again = taken(1)
    assert (again.created, again.changed, again.left) == ([], [], 10_000)
    assert len(taken(2).changed) == 10_000
    assert groups.members(people.operator, classes[1]).total == 5_000
    assert user("u09999").most_clones == 2


def test_what_is_downloaded_can_be_uploaded_and_changes_nothing(people: People, classes: list[Group]) -> None:
    users.edit(people.administrator, people.user, role="user", group_ids=[c.id for c in classes], most=Quota(0, 5, 9))
    text = csv_import.download(people.operator)
    assert text.startswith("\ufeffname,role,active,groups,most_clones")
    assert "user,user,yes,3a;3b,0,5,9\r\n" in text
    assert "password" not in text and "argon2" not in text
    preview = csv_import.preview(people.administrator, text.encode())
    assert (preview.created, preview.changed, preview.left) == ([], [], 4)


def test_formulas_are_defused_and_come_back_as_they_were(people: People) -> None:
    # No form makes such names; a directory or a hand in the database may.
    with transaction() as session:
        session.add(Group(name="=cmd|' /C calc'!A0", users=[people.user]))
        session.add(Group(name="@evil", users=[people.other]))
    text = csv_import.download(people.operator)
    rows = {row["name"]: row["groups"] for row in csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))}
    assert rows["user"].startswith("'=") and rows["other"] == "'@evil"
    preview = csv_import.preview(people.administrator, text.encode())
    assert (preview.created, preview.changed, preview.left) == ([], [], 4)


def test_it_is_done_once_within_its_time_and_by_who_uploaded_it(people: People) -> None:
    second, _password = users.create(None, "second", Role.ADMINISTRATOR, PASSWORD)
    preview = csv_import.preview(people.administrator, b"name\nalice\n")
    for ask in (csv_import.stored_preview, csv_import.import_rows):
        with pytest.raises(NotFound):
            ask(second, preview.key)
        with pytest.raises(NotFound):
            ask(people.administrator, "another")
    csv_import.import_rows(people.administrator, preview.key)
    with refused(NotFound, "people.import_expired"):
        csv_import.import_rows(people.administrator, preview.key)
    late = csv_import.preview(people.administrator, b"name\nbob\n")
    queues.redis.delete(f"ravada:people:{people.administrator.id}:{late.key}")
    with pytest.raises(NotFound):
        csv_import.import_rows(people.administrator, late.key)


def test_a_group_that_has_gone_since_is_told_and_nothing_is_done(people: People, classes: list[Group]) -> None:
    preview = csv_import.preview(people.administrator, b"name,groups\nalice,3a\nbob,3b\n")
    groups.delete(people.administrator, classes[1])
    with refused(Conflict, "people.import_group_gone", name="3b"):
        csv_import.import_rows(people.administrator, preview.key)
    assert count() == 4


def test_who_came_since_is_changed_and_not_made(people: People) -> None:
    preview = csv_import.preview(people.administrator, b"name,role\nalice,operator\n")
    users.create(None, "alice", Role.USER, PASSWORD)
    done = csv_import.import_rows(people.administrator, preview.key)
    assert (done.created, done.changed) == ([], ["alice"])
    assert user("alice").role == Role.OPERATOR and passwords.authenticate("alice", PASSWORD)


def test_only_administrators_upload_and_operators_may_download(people: People) -> None:
    for actor in (people.user, people.operator):
        with pytest.raises(NotAllowed):
            csv_import.preview(actor, b"name\nalice\n")
        for ask in (csv_import.stored_preview, csv_import.import_rows):
            with pytest.raises(NotAllowed):
                ask(actor, "x")
    with pytest.raises(NotAllowed):
        csv_import.download(people.user)


@given(st.binary(max_size=300))
def test_whatever_is_uploaded_is_taken_or_refused(content: bytes) -> None:
    """Parsing alone: no bytes make it fall over."""
    try:
        lines = csv_text.lines(csv_rows._decoded(content))
        assert "name" in csv_rows._columns(lines)
        list(lines)
    except (BadTable, csv.Error):
        return


INPUTS = Path(__file__).parent / "tables"


@pytest.mark.parametrize(
    ("file", "made"),
    [
        ("trailing-empty-columns.csv", ["ana.lopez", "b.garcia"]),
        ("sep-line.csv", ["ana.lopez", "b.garcia"]),
    ],
)
def test_files_of_a_spreadsheet_are_taken_as_they_come(people: People, file: str, made: list[str]) -> None:
    preview = csv_import.preview(people.administrator, (INPUTS / file).read_bytes())
    assert (preview.created, preview.changed) == (made, [])
    csv_import.import_rows(people.administrator, preview.key)
    assert user("b.garcia").role == (Role.OPERATOR if file == "sep-line.csv" else Role.USER)


def test_utf_16_is_told_how_to_save_it(people: People) -> None:
    ((number, reason),) = bad_lines(people, (INPUTS / "utf16.csv").read_bytes())
    assert (number, str(reason)) == (0, "The file is not UTF-8. Save it as “CSV UTF-8”, then upload it again.")


def test_names_alike_but_for_case_are_refused(people: People) -> None:
    ((number, reason),) = bad_lines(people, (INPUTS / "case-twins.csv").read_bytes())
    assert number == 3 and "differs from “Ana.Lopez@x.example” only in upper and lower case" in str(reason)


def test_a_name_that_was_taken_since_the_preview_is_a_conflict(people: People) -> None:
    preview = csv_import.preview(people.administrator, b"name\nalice\nbob\n")
    users.create(people.administrator, "ALICE", "user")
    with refused(Conflict, "people.name_taken_but_for_case", name="ALICE"):
        csv_import.import_rows(people.administrator, preview.key)
    assert users.find("bob") is None


def test_names_with_a_plus_and_an_apostrophe_go_out_and_come_back(people: People) -> None:
    take(people, "name;role\nbob+lab@x;user\no'brien;operator\n")
    assert user("o'brien").role == Role.OPERATOR
    table = csv_import.download(people.administrator)
    again = csv_import.preview(people.administrator, table.encode())
    assert (again.created, again.changed, again.left) == ([], [], 6)


def test_what_waits_in_redis_is_read_and_changed_by_nobody(people: People) -> None:
    text = f"name,role,password\nalice,administrator,{PASSWORD}\n"
    mine = csv_import.preview(people.administrator, text.encode())
    held = everything(queues.redis)
    assert b"ravada:people:" in held
    assert not [word for word in (b"alice", b"argon2", PASSWORD.encode()) if word in held]
    (key,) = queues.redis.keys("ravada:people:*")
    queues.redis.set(key, json.dumps([{"name": "mallory", "role": "administrator"}]))
    with pytest.raises(NotFound):
        csv_import.import_rows(people.administrator, mine.key)
    assert users.find("mallory") is None


def test_new_users_are_given_passwords_that_are_shown_once_and_changed_at_the_first_sign_in(people: People) -> None:
    text = f"name,password\nalice,\nbob,{PASSWORD}\nuser,\n"
    asked = csv_import.preview(people.administrator, text.encode(), draws=True)
    assert (asked.passwords, asked.confirm, asked.drawn) == (2, False, ())
    kept = everything(queues.redis)
    done = csv_import.import_rows(people.administrator, asked.key)
    ((name, password),) = done.drawn
    assert name == "alice" and passwords.authenticate("alice", password) == user("alice")
    assert user("alice").must_change_password and not user("bob").must_change_password
    assert passwords.authenticate("user", PASSWORD) and password.encode() not in kept and password not in repr(done)
    assert queues.redis.keys("ravada:people:*") == []


def test_more_new_users_than_passwords_are_drawn_for_are_refused_as_a_whole(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_rows, "MOST_DRAWN", 2)
    with pytest.raises(BadTable) as caught:
        csv_import.preview(people.administrator, b"name\na1\na2\na3\nuser\n", draws=True)
    assert [line.reason.kind for line in caught.value.lines] == ["people.csv_too_many_drawn"]
    assert csv_import.preview(people.administrator, b"name\na1\na2\nuser\nother\n", draws=True).passwords == 2


def test_groups_that_there_are_not_are_made_where_that_is_ticked(people: People, classes: list[Group]) -> None:
    text = "name,groups\nalice,3a;New class\nbob,New class\ncarol,\n"
    assert [reason.kind for _line, reason in bad_lines(people, text)] == ["people.no_group_called"] * 2
    asked = csv_import.preview(people.administrator, text.encode(), makes_groups=True)
    assert asked.groups == ("New class",)
    csv_import.import_rows(people.administrator, asked.key)
    assert [group.name for group in user("alice").groups] == ["3a", "New class"]
    assert [group.name for group in user("bob").groups] == ["New class"]
    with pytest.raises(BadTable) as caught:
        csv_import.preview(people.administrator, b"name,groups\ndora,;<b>;ok\n", makes_groups=True)
    assert [line.reason.kind for line in caught.value.lines] == ["people.csv_bad_group"]


def test_a_group_that_somebody_makes_meanwhile_is_taken_as_it_is(people: People) -> None:
    asked = csv_import.preview(people.administrator, b"name,groups\nalice,late\n", makes_groups=True)
    made = groups.create(people.administrator, name="late")
    csv_import.import_rows(people.administrator, asked.key)
    assert user("alice").groups == [made]


def test_a_password_that_was_drawn_is_not_given_to_one_who_has_come_meanwhile(people: People) -> None:
    asked = csv_import.preview(people.administrator, b"name\nalice\n", draws=True)
    users.create(None, "alice", Role.USER, PASSWORD)
    with refused(Conflict, "people.import_changed"):
        csv_import.import_rows(people.administrator, asked.key, PASSWORD)
    assert passwords.authenticate("alice", PASSWORD) == user("alice")


def test_a_column_that_was_taken_for_groups_makes_none(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "MOST_NEW_GROUPS", 2)
    with pytest.raises(BadTable) as caught:
        csv_import.preview(people.administrator, b"name,groups\na1,g1\na2,g2\na3,g3\n", makes_groups=True)
    assert [line.reason.kind for line in caught.value.lines] == ["people.csv_too_many_groups"]
    assert csv_import.preview(people.administrator, b"name,groups\na1,g1;g2\n", makes_groups=True).groups == (
        "g1",
        "g2",
    )
