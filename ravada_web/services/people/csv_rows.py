"""Reading a table of people (CSV): every line is checked, and all that is wrong is said at once.

A column that is in the table counts for all its rows: an empty cell in `groups` is no group, in a quota column no own
quota. Where a role, `active` or a password is empty, it stays as it is.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select

from ravada_web.errors import RavadaError
from ravada_web.extensions import db
from ravada_web.messages import Message, message
from ravada_web.models import Group, Role, User, name_key
from ravada_web.services.csv_cells import unguard
from ravada_web.services.people import csv_text, groups, quotas, users
from ravada_web.services.people.quotas import Quota
from ravada_web.services.sign_in import names, passwords

QUOTA_FIELDS = ("most_clones", "most_running", "most_memory_mib")
COLUMNS = ("name", "role", "active", "groups", *QUOTA_FIELDS)
ACCEPTED = (*COLUMNS, "password")
MOST_ROWS, MOST_PASSWORDS, MOST_SHOWN = 10_000, 200, 50
# Each drawn password costs its hash, too.
MOST_DRAWN = 2_000
# More are a column that was taken for another.
MOST_NEW_GROUPS = 200
# With so many errors a file is not of this kind: no more of it is read.
MOST_BAD = 1_000
# Of what a cell of groups names, how many unknown ones are said.
SHOWN_GROUPS = 3
_YES, _NO = ("yes", "true", "1", "on"), ("no", "false", "0", "off")


@dataclass(frozen=True)
class BadLine:
    """A line of the file (from 1, as a text editor counts) and why it cannot be taken; 0 is the file as a whole."""

    number: int
    reason: Message


class BadTable(RavadaError):
    """The table cannot be taken, and nothing was done; `lines` are the first of the `count` bad ones."""

    status = 422

    def __init__(self, lines: Sequence[BadLine]) -> None:
        self.count = len(lines)
        self.lines = list(lines[:MOST_SHOWN])
        super().__init__(message("people.csv_refused", lines_clauses=[_numbered(line) for line in self.lines]))


def _numbered(line: BadLine) -> Message:
    return message("people.csv_line", number=line.number, reason=line.reason) if line.number else line.reason


@dataclass
class Row:
    """What a line asks for: None leaves a value as it is; `quota` holds the columns that the table has. A
    `password` is there until it is hashed, one that was `drawn` until it was shown."""

    name: str
    role: str | None = None
    active: bool | None = None
    groups: list[str] | None = None
    quota: dict[str, int | None] = field(default_factory=dict)
    password_hash: str | None = None
    password: str | None = field(default=None, repr=False)
    drawn: str | None = field(default=None, repr=False)

    @property
    def sets_password(self) -> bool:
        """Whether the line has a password."""
        return self.password_hash is not None or self.password is not None


def parse(actor: User, content: bytes, *, makes_groups: bool) -> tuple[dict[str, Row], dict[str, str]]:
    """The rows by name, and the passwords by name; groups that there are not are bad unless they are to be made. Raises
    BadTable with every bad line."""
    read = csv_text.lines(_decoded(content))
    columns = _columns(read)
    table = _Table(actor, None if makes_groups else set(db.session.scalars(select(Group.name))))
    number = 1
    try:
        for line in read:
            number = line.number
            table.take(number, columns, line.cells)
            if len(table.rows) > MOST_ROWS:
                table.refuse(number, message("people.csv_too_many", most=MOST_ROWS))
                break
            if len(table.bad) >= MOST_BAD:
                table.refuse(0, message("people.csv_too_many_errors"))
                break
    except csv.Error as error:
        table.refuse(number + 1, _no_table(error))
    if not table.rows and not table.bad:
        table.refuse(0, message("people.csv_empty"))
    table.refuse_alike()
    if table.bad:
        raise BadTable(sorted(table.bad, key=lambda line: line.number))
    return table.rows, table.passwords


def _no_table(error: csv.Error) -> Message:
    return message("people.csv_broken", said=str(error))


def _decoded(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadTable([BadLine(0, message("people.csv_not_utf8"))]) from error
    if "\0" in text:
        raise BadTable([BadLine(0, message("people.csv_not_text"))])
    return text


def _columns(read: Iterator[csv_text.Line]) -> list[str]:
    """The names of the columns; those that spreadsheets leave empty are "", at the end they are none."""
    try:
        line = next(read, csv_text.Line(1, ()))
    except csv.Error as error:
        raise BadTable([BadLine(1, _no_table(error))]) from error
    number, columns = line.number, [re.sub(r"[\s-]+", "_", cell.lower()) for cell in line.cells]
    while columns and not columns[-1]:
        columns.pop()
    unknown = [name for name in columns if name and name not in ACCEPTED]
    reasons = [message("people.csv_unknown_column", column=name[:60], columns=ACCEPTED) for name in unknown]
    bad = [BadLine(number, reason) for reason in reasons]
    if "name" not in columns:
        bad.append(BadLine(number, message("people.csv_no_name_column")))
    twice = [name for name in sorted(set(columns)) if columns.count(name) > 1 and name in ACCEPTED]
    bad += [BadLine(number, message("people.csv_column_twice", column=name)) for name in twice]
    if bad:
        raise BadTable(bad)
    return columns


class _Table:
    """What was read so far, and what is wrong with it; `groups` are the names that may be in it, None any."""

    def __init__(self, actor: User, groups: set[str] | None) -> None:
        self._actor = actor
        self._groups = groups
        self.rows: dict[str, Row] = {}
        self.passwords: dict[str, str] = {}
        self.bad: list[BadLine] = []
        self._lines: dict[str, int] = {}

    def refuse(self, number: int, reason: Message) -> None:
        """Record why a line is refused."""
        self.bad.append(BadLine(number, reason))

    def take(self, number: int, columns: Sequence[str], cells: Sequence[str]) -> None:
        """Read one line."""
        line = dict(zip(columns, cells, strict=False))
        reasons = [message("people.csv_too_many_cells")] if any(cells[len(columns) :]) else []
        reasons += [
            message("people.csv_nameless_column", number=position)
            for position, (name, cell) in enumerate(zip(columns, cells, strict=False), 1)
            if cell and not name
        ]
        row = _row({name: _plain(cell) for name, cell in line.items()}, self._groups, reasons)
        if row.name in self.rows:
            reasons.append(message("people.csv_name_twice", name=row.name))
        if row.name == self._actor.name and not keeps_oneself(row):
            reasons.append(own_row())
        if password := line.get("password", "").strip():
            self._take_password(row.name, password, reasons)
        self.rows[row.name] = row
        self._lines[row.name] = number
        for reason in reasons:
            self.refuse(number, reason)

    def refuse_alike(self) -> None:
        """Refuse names for new users that differ in case alone from somebody's, or from one in an earlier line."""
        alike, seen = names.alike(db.session(), self.rows), dict[str, str]()
        for name, number in self._lines.items():
            others = alike.get(name_key(name), [])
            if others and name not in others:
                self.refuse(number, users.name_taken(name, others))
            elif not others and (earlier := seen.get(name_key(name))):
                self.refuse(number, message("people.csv_names_alike", name=name, other=earlier))
            seen.setdefault(name_key(name), name)

    def _take_password(self, name: str, password: str, reasons: list[Message]) -> None:
        if len(password) < passwords.SHORTEST_PASSWORD:
            reasons.append(message("people.csv_short_password", count=passwords.SHORTEST_PASSWORD))
        if len(self.passwords) < MOST_PASSWORDS:
            self.passwords[name] = password
        else:
            reasons.append(message("people.csv_too_many_passwords", most=MOST_PASSWORDS))


def keeps_oneself(row: Row) -> bool:
    """Whether an administrator whose own row this is stays one."""
    return row.role in (None, Role.ADMINISTRATOR) and row.active is not False


def own_row() -> Message:
    """What is said to one who would not."""
    return message("people.csv_own_row")


def _plain(cell: str) -> str:
    """A cell without what a download has put before it."""
    return unguard(cell)


def _row(cells: Mapping[str, str], known: set[str] | None, reasons: list[Message]) -> Row:
    """What the cells ask for; what is wrong is added to the reasons."""
    row = Row(cells.get("name", ""))
    if not users.NAME.fullmatch(row.name):
        reasons.append(message("people.csv_bad_name", name=row.name[:70], rule=message("people.bad_name")))
    if role := cells.get("role", "").lower():
        row.role = role
        if role not in list(Role):
            reasons.append(message("people.csv_bad_role", role=role[:40], roles=list(Role)))
    if active := cells.get("active", "").lower():
        row.active = active in _YES
        if active not in _YES + _NO:
            reasons.append(message("people.csv_bad_active", value=active[:40]))
    if "groups" in cells:
        row.groups = list(dict.fromkeys(name.strip() for name in cells["groups"].split(";") if name.strip()))
        reasons += _bad_groups(row.groups, known)
    row.quota = {name: _number(name, cells[name], reasons) for name in QUOTA_FIELDS if name in cells}
    if wrong := quotas.out_of_range(Quota(*(row.quota.get(name) for name in QUOTA_FIELDS))):
        reasons += [message("people.csv_bad_quota", column=name, reason=why) for name, why in wrong.items()]
    return row


def _bad_groups(named: Sequence[str], known: set[str] | None) -> list[Message]:
    if known is None:
        misnamed = [name for name in named if not groups.NAME.fullmatch(name)]
        rule = message("people.bad_group_name")
        return [message("people.csv_bad_group", name=name[:70], rule=rule) for name in misnamed[:SHOWN_GROUPS]]
    unknown = [name for name in named if name not in known]
    return [message("people.no_group_called", name=name[:70]) for name in unknown[:SHOWN_GROUPS]]


def _number(name: str, cell: str, reasons: list[Message]) -> int | None:
    if not cell:
        return None
    if not (cell.isascii() and cell.isdecimal() and len(cell) < 12):
        reasons.append(message("people.csv_not_a_number", value=cell[:40], column=name))
        return None
    return int(cell)
