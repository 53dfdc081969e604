"""People as a table (CSV): all of them to download; and a table to upload, checked as a whole before anything is done.

A column that is in the table counts for all its rows: an empty cell in `groups` is no group, in a limit no limit of
one's own. Where a role, `active` or a password is empty, it stays as it is.
"""

import csv
import io
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session, selectinload

from ravada_web.errors import Conflict, NotFound, RavadaError
from ravada_web.extensions import db, queues
from ravada_web.identity.passwords import hash_password
from ravada_web.models import Group, GroupMember, Role, SignIn, User
from ravada_web.services import access, events, people, users
from ravada_web.services.limits import Amounts
from ravada_web.services.transaction import transaction

LIMITS = ("most_clones", "most_running", "most_memory_mib")
COLUMNS = ("name", "role", "active", "groups", *LIMITS)
ACCEPTED = (*COLUMNS, "password")
MOST_ROWS, MOST_PASSWORDS, MOST_SHOWN = 10_000, 200, 50
KEPT_SECONDS = 600
# What a spreadsheet would take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_YES, _NO = ("yes", "true", "1", "on"), ("no", "false", "0", "off")
_CHUNK = 500


@dataclass(frozen=True)
class BadLine:
    """A line of the file (from 1, as a text editor counts) and why it cannot be taken; 0 is the file as a whole."""

    number: int
    reason: str


class BadTable(RavadaError):
    """The table cannot be taken, and nothing was done; `lines` are the first of the `count` bad ones."""

    status = 422

    def __init__(self, lines: Sequence[BadLine]) -> None:
        self.count = len(lines)
        self.lines = list(lines[:MOST_SHOWN])
        super().__init__("; ".join(f"{line.number}: {line.reason}" for line in self.lines))


@dataclass
class Row:
    """What a line asks for: None leaves a value as it is; `limits` holds the columns that the table has."""

    name: str
    role: str | None = None
    active: bool | None = None
    groups: list[str] | None = None
    limits: dict[str, int | None] = field(default_factory=dict)
    password_hash: str | None = None


@dataclass(frozen=True)
class Preview:
    """What taking a checked table does: the names of users to be made and changed, and how many stay as they are."""

    key: str
    made: list[str]
    changed: list[str]
    left: int


def download(viewer: User) -> str:
    """All users as CSV for spreadsheets; cells that they would take for formulas are defused. Raises NotAllowed."""
    access.require(viewer, "users.see")
    text = io.StringIO()
    text.write("\ufeff")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    query = select(User).options(selectinload(User.groups)).order_by(User.name)
    for user in db.session.scalars(query):
        groups = ";".join(group.name for group in user.groups)
        limits = ("" if getattr(user, name) is None else getattr(user, name) for name in LIMITS)
        row = (user.name, user.role, "yes" if user.active else "no", groups, *limits)
        writer.writerow([_defused(str(cell)) for cell in row])
    return text.getvalue()


def _defused(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def check(actor: User, content: bytes) -> Preview:
    """Check an uploaded table as a whole, and keep it for ten minutes to be done; passwords are kept as hashes alone.

    Raises BadTable with what is wrong, NotAllowed.
    """
    access.require(actor, "users.change")
    rows, passwords = _parsed(actor, content)
    with ThreadPoolExecutor(2) as threads:
        hashes = threads.map(hash_password, passwords.values())
        for name, hashed in zip(passwords, hashes, strict=True):
            rows[name].password_hash = hashed
    key = secrets.token_urlsafe(16)
    kept = json.dumps([asdict(row) for row in rows.values()])
    queues.redis.set(_kept_at(actor, key), kept, ex=KEPT_SECONDS)
    return _preview(key, rows)


def checked(actor: User, key: str) -> Preview:
    """What a table that was checked and kept does. Raises NotFound for one that is too old, done, or another's."""
    access.require(actor, "users.change")
    return _preview(key, _kept(actor, key))


def _kept_at(actor: User, key: str) -> str:
    return f"ravada:people:{actor.id}:{key}"


def _kept(actor: User, key: str) -> dict[str, Row]:
    kept = queues.redis.get(_kept_at(actor, key))
    if not isinstance(kept, bytes):
        raise NotFound(_("This table was taken already, or was checked more than ten minutes ago. Upload it again."))
    return {row["name"]: Row(**row) for row in json.loads(kept)}


def _preview(key: str, rows: Mapping[str, Row]) -> Preview:
    present = _present(db.session(), rows)
    made = [name for name in rows if name not in present]
    changed = [name for name, user in present.items() if differs(user, rows[name])]
    return Preview(key, made, sorted(changed), len(rows) - len(made) - len(changed))


def _present(session: Session, names: Iterable[str]) -> dict[str, User]:
    found: dict[str, User] = {}
    for some in _chunks(list(names)):
        query = select(User).where(User.name.in_(some)).options(selectinload(User.groups))
        found |= {user.name: user for user in session.scalars(query)}
    return found


def _chunks(items: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (items[first : first + _CHUNK] for first in range(0, len(items), _CHUNK))


def differs(user: User, row: Row) -> bool:
    """Whether taking the row changes the user."""
    return (
        row.password_hash is not None
        or (row.role is not None and row.role != user.role)
        or (row.active is not None and row.active != user.active)
        or (row.groups is not None and set(row.groups) != {group.name for group in user.groups})
        or any(getattr(user, name) != value for name, value in row.limits.items())
    )


def take(actor: User, key: str) -> Preview:
    """Do what a checked table asks for, all of it in one transaction; answers what was done.

    Whoever is new and has no password cannot sign in by one until it is reset. Raises NotFound as `checked` does,
    and Conflict where a group has gone or the actor has changed since.
    """
    access.require(actor, "users.change")
    rows = _kept(actor, key)
    with transaction() as session:
        done = _preview(key, rows)
        groups = dict(session.execute(select(Group.name, Group.id)).all())
        wanted = [rows[name] for name in (*done.made, *done.changed)]
        if missing := {name for row in wanted for name in row.groups or ()} - set(groups):
            raise Conflict(_("The group %(name)s has gone since. Upload the table again.", name=min(missing)))
        if (mine := rows.get(actor.name)) and not _keeps_oneself(mine):
            raise Conflict(_own_row())
        ids = _write(session, rows, done)
        _join(session, wanted, ids, groups)
        lines = [(ids[name], name, "create") for name in done.made]
        lines += [(ids[name], name, "edit") for name in done.changed]
        events.record_users(session, actor, lines, _("by a table"))
    queues.redis.delete(_kept_at(actor, key))
    return done


def _write(session: Session, rows: Mapping[str, Row], done: Preview) -> dict[str, int]:
    """Insert and update the users in bulk; answers the ids of all of them by name."""
    for some in _chunks(done.made):
        session.execute(insert(User), [_new(rows[name]) for name in some])
    ids: dict[str, int] = {}
    for some in _chunks([*done.made, *done.changed]):
        ids |= dict(session.execute(select(User.name, User.id).where(User.name.in_(some))).all())
    changes = [{"id": ids[name]} | _changes(rows[name]) for name in done.changed]
    for alike in _by_columns(changes):
        session.execute(update(User), alike)
    # Who is switched off, or has another password, is signed out.
    out = [ids[name] for name in done.changed if rows[name].active is False or rows[name].password_hash]
    for some in _chunks(out):
        session.execute(delete(SignIn).where(SignIn.user_id.in_(some)))
    return ids


def _new(row: Row) -> dict[str, Any]:
    blank: dict[str, Any] = dict.fromkeys(LIMITS)
    return {
        "name": row.name,
        "role": row.role or Role.USER.value,
        "active": row.active is not False,
        # An empty hash is no password's.
        "password_hash": row.password_hash or "",
        "must_change_password": row.password_hash is None,
        **blank,
        **row.limits,
    }


def _changes(row: Row) -> dict[str, Any]:
    values: dict[str, Any] = dict(row.limits)
    for name in ("role", "active", "password_hash"):
        if (value := getattr(row, name)) is not None:
            values[name] = value
    return values


def _by_columns(changes: Sequence[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    """Apart by the columns that they set, as a bulk update wants them; those that set none are left out."""
    alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for change in changes:
        if len(change) > 1:
            alike.setdefault(tuple(sorted(change)), []).append(change)
    return alike.values()


def _join(session: Session, rows: Sequence[Row], ids: Mapping[str, int], groups: Mapping[str, int]) -> None:
    """Put the users whose rows name groups into exactly these."""
    placed = [row for row in rows if row.groups is not None]
    for some in _chunks(placed):
        session.execute(delete(GroupMember).where(GroupMember.user_id.in_([ids[row.name] for row in some])))
        pairs = [{"user_id": ids[row.name], "group_id": groups[name]} for row in some for name in row.groups or ()]
        if pairs:
            session.execute(insert(GroupMember), pairs)


def _parsed(actor: User, content: bytes) -> tuple[dict[str, Row], dict[str, str]]:
    """The rows by name, and the passwords by name. Raises BadTable with every bad line."""
    reader = _reader(content)
    columns = _columns(reader)
    table = _Table(actor, set(db.session.scalars(select(Group.name))))
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                table.take(reader.line_num, columns, cells)
            if len(table.rows) > MOST_ROWS:
                table.refuse(reader.line_num, _("More than %(most)s users. Split the table.", most=MOST_ROWS))
                break
    except csv.Error as error:
        table.refuse(reader.line_num, _no_table(error))
    if not table.rows and not table.bad:
        table.refuse(0, _("There is no user in it, only the names of the columns."))
    if table.bad:
        raise BadTable(table.bad)
    return table.rows, table.passwords


def _no_table(error: csv.Error) -> str:
    return _("From here it cannot be read as CSV: %(why)s.", why=error)


def _reader(content: bytes) -> Any:
    """A reader of the text, apart by what its first line is: commas, semicolons or tabs."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadTable([BadLine(0, _("It is not UTF-8. Save it as “CSV UTF-8”, then upload it again."))]) from error
    if "\0" in text:
        raise BadTable([BadLine(0, _("This is no text. Save the spreadsheet as CSV, then upload that."))])
    first = text.partition("\n")[0]
    delimiter = max((",", ";", "\t"), key=first.count)
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)


def _columns(reader: Any) -> list[str]:
    try:
        columns = [cell.strip().lower() for cell in next(reader, [])]
    except csv.Error as error:
        raise BadTable([BadLine(1, _no_table(error))]) from error
    accepted = ", ".join(ACCEPTED)
    unknown = [name for name in columns if name not in ACCEPTED]
    bad = [BadLine(1, _("There is no column “%(name)s”. Known are: %(all)s.", name=name[:60], all=accepted))
           for name in unknown]  # fmt: skip
    if "name" not in columns:
        bad.append(BadLine(1, _("The first line names the columns, and one of them has to be “name”.")))
    bad += [BadLine(1, _("The column “%(name)s” is there twice.", name=name))
            for name in sorted(set(columns)) if columns.count(name) > 1 and name in ACCEPTED]  # fmt: skip
    if bad:
        raise BadTable(bad)
    return columns


class _Table:
    """What was read so far, and what is wrong with it; `groups` are the names of those that there are."""

    def __init__(self, actor: User, groups: set[str]) -> None:
        self._actor = actor
        self._groups = groups
        self.rows: dict[str, Row] = {}
        self.passwords: dict[str, str] = {}
        self.bad: list[BadLine] = []

    def refuse(self, number: int, reason: str) -> None:
        """Note why a line cannot be taken."""
        self.bad.append(BadLine(number, reason))

    def take(self, number: int, columns: Sequence[str], cells: Sequence[str]) -> None:
        """Read one line."""
        line = dict(zip(columns, cells, strict=False))
        reasons = [_("It has more cells than the first line names columns.")] if len(cells) > len(columns) else []
        row = _row({name: _plain(cell) for name, cell in line.items()}, self._groups, reasons)
        if row.name in self.rows:
            reasons.append(_("%(name)s is there twice.", name=row.name))
        if row.name == self._actor.name and not _keeps_oneself(row):
            reasons.append(_own_row())
        if password := line.get("password", "").strip():
            self._take_password(row.name, password, reasons)
        self.rows[row.name] = row
        for reason in reasons:
            self.refuse(number, reason)

    def _take_password(self, name: str, password: str, reasons: list[str]) -> None:
        if len(password) < users.SHORTEST_PASSWORD:
            reasons.append(_("The password needs at least %(count)s characters.", count=users.SHORTEST_PASSWORD))
        if len(self.passwords) < MOST_PASSWORDS:
            self.passwords[name] = password
        else:
            text = _(
                "Only %(most)s rows may bring a password. Leave it empty, or split the table.", most=MOST_PASSWORDS
            )
            reasons.append(text)


def _keeps_oneself(row: Row) -> bool:
    return row.role in (None, Role.ADMINISTRATOR) and row.active is not False


def _own_row() -> str:
    return _("This is you: you cannot take the administrator's role away from yourself, nor switch yourself off.")


def _plain(cell: str) -> str:
    """A cell without the blanks around it, and without what a download has put before it."""
    cell = cell.strip()
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


def _row(cells: Mapping[str, str], known: set[str], reasons: list[str]) -> Row:
    """What the cells ask for; what is wrong is added to the reasons."""
    row = Row(cells.get("name", ""))
    if not users.NAME.fullmatch(row.name):
        text = _("“%(name)s” is no name: letters, digits and . _ @ -, at most 63, a letter or digit first.",
                 name=row.name[:70])  # fmt: skip
        reasons.append(text)
    if role := cells.get("role", "").lower():
        row.role = role
        if role not in list(Role):
            reasons.append(_("“%(role)s” is no role: %(all)s.", role=role[:40], all=", ".join(Role)))
    if active := cells.get("active", "").lower():
        row.active = active in _YES
        if active not in _YES + _NO:
            reasons.append(_("“%(value)s” in “active”: yes or no.", value=active[:40]))
    if "groups" in cells:
        row.groups = list(dict.fromkeys(name.strip() for name in cells["groups"].split(";") if name.strip()))
        reasons += [_("There is no group “%(name)s”.", name=name[:70]) for name in row.groups if name not in known]
    row.limits = {name: _number(name, cells[name], reasons) for name in LIMITS if name in cells}
    if wrong := people.out_of_range(Amounts(*(row.limits.get(name) for name in LIMITS))):
        reasons += [f"{name}: {reason}" for name, reason in wrong.items()]
    return row


def _number(name: str, cell: str, reasons: list[str]) -> int | None:
    if not cell:
        return None
    if not (cell.isascii() and cell.isdecimal() and len(cell) < 12):
        reasons.append(_("“%(value)s” in “%(name)s” is no number.", value=cell[:40], name=name))
        return None
    return int(cell)
