"""Users as a CSV table: download of all; upload, checked as a whole before anything is done."""

import json
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session, selectinload

from ravada_web.config import settings
from ravada_web.errors import Conflict, NotFound
from ravada_web.extensions import db, queues
from ravada_web.identity.passwords import hash_password, random_password
from ravada_web.identity.sealing import Purpose, seal, unseal
from ravada_web.messages import message
from ravada_web.models import Group, GroupMember, Role, User, UserSession, name_key
from ravada_web.services import csv_cells
from ravada_web.services.audit import events
from ravada_web.services.batches import batched, grouped
from ravada_web.services.people import csv_rows, users
from ravada_web.services.people import groups as group_actions
from ravada_web.services.people.csv_rows import COLUMNS, QUOTA_FIELDS, BadLine, BadTable, Row, keeps_oneself, own_row
from ravada_web.services.permissions import rights, scopes
from ravada_web.services.sign_in import confirmation, names
from ravada_web.services.transaction import transaction

KEPT_SECONDS = 600
# A hash is meant to be slow: a page makes as many as this takes.
HASH_SECONDS = 0.5
_CHUNK = 500


@dataclass(frozen=True)
class Preview:
    """What taking a checked table does: the names of users to be made and changed, and how many stay as they are.
    `confirm`: it sets passwords of users, or makes administrators, so that it asks for one's own password. `hashed` of
    its `passwords` are ready: it can be done once all are. `groups` are those to be made. Of what was done, `drawn` has
    names and passwords that were drawn for them, to be shown this once."""

    key: str
    created: list[str]
    changed: list[str]
    left: int
    confirm: bool = False
    passwords: int = 0
    hashed: int = 0
    groups: tuple[str, ...] = ()
    drawn: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def ready(self) -> bool:
        """Whether all passwords are hashed."""
        return self.hashed == self.passwords


def download(viewer: User) -> str:
    """The users that the viewer may know of as CSV for spreadsheets; cells that they would take for formulas are
    defused. Raises NotAllowed."""
    rights.require(viewer, "users.see")
    lines = [csv_cells.line(COLUMNS)]
    known = set(db.session.scalars(select(Group.name).where(scopes.groups(viewer))))
    query = select(User).where(scopes.people(viewer)).options(selectinload(User.groups)).order_by(User.name)
    for user in db.session.scalars(query):
        groups = ";".join(group.name for group in user.groups if group.name in known)
        quota = (getattr(user, name) for name in QUOTA_FIELDS)
        row = (user.name, user.role, "yes" if user.active else "no", groups, *quota)
        lines.append(csv_cells.line(row))
    # The mark tells spreadsheets that this is UTF-8.
    return "\ufeff" + "".join(lines)


@dataclass(frozen=True)
class _Table:
    """A table that was checked: its rows by name, and whether groups that there are not are made."""

    rows: Mapping[str, Row]
    makes_groups: bool


def preview(actor: User, content: bytes, *, draws: bool = False, makes_groups: bool = False) -> Preview:
    """Check an uploaded table as a whole, and keep it sealed for ten minutes to be done. Its passwords become hashes a
    few at a time: `hash_more` is called until the preview is ready. With `draws`, new users without a password are
    given one, which they change at their first sign-in; with `makes_groups`, groups that there are not are made.

    Raises BadTable with what is wrong, NotAllowed.
    """
    rights.require(actor, "users.change")
    rows, passwords = csv_rows.parse(actor, content, makes_groups=makes_groups)
    for name, password in passwords.items():
        rows[name].password = password
    if draws:
        _draw(rows)
    _hash_some(rows.values())
    key, table = secrets.token_urlsafe(16), _Table(rows, makes_groups)
    if len(_new_groups(table)) > csv_rows.MOST_NEW_GROUPS:
        raise BadTable([BadLine(0, message("people.csv_too_many_groups", most=csv_rows.MOST_NEW_GROUPS))])
    queues.redis.set(_redis_key(actor, key), _sealed(table), ex=KEPT_SECONDS)
    return _preview(key, table)


def _draw(rows: Mapping[str, Row]) -> None:
    """Draw a password for each new user without one."""
    present = _present(db.session(), rows)
    without = [row for row in rows.values() if row.name not in present and not row.sets_password]
    if len(without) > csv_rows.MOST_DRAWN:
        raise BadTable([BadLine(0, message("people.csv_too_many_drawn", most=csv_rows.MOST_DRAWN))])
    for row in without:
        row.password = row.drawn = random_password()


def hash_more(actor: User, key: str) -> Preview:
    """Hash more of a kept table's passwords: so many at once that no page takes long. Raises NotFound as
    `stored_preview` does, NotAllowed."""
    rights.require(actor, "users.change")
    table = _stored(actor, key)
    _hash_some(table.rows.values())
    queues.redis.set(_redis_key(actor, key), _sealed(table), xx=True, keepttl=True)
    return _preview(key, table)


def _hash_some(rows: Iterable[Row]) -> None:
    """Hash passwords until the time is up, one at least."""
    end = time.monotonic() + HASH_SECONDS
    for row in rows:
        if row.password is not None:
            row.password_hash, row.password = hash_password(row.password), None
            if time.monotonic() > end:
                return


def _sealed(table: _Table) -> str:
    document = json.dumps([table.makes_groups, [asdict(row) for row in table.rows.values()]])
    return seal(document, Purpose.USERS_TABLE, settings().secret_key())


def stored_preview(actor: User, key: str) -> Preview:
    """What a table that was checked and kept does. Raises NotFound for one that is too old, done, or another's."""
    rights.require(actor, "users.change")
    return _preview(key, _stored(actor, key))


def _redis_key(actor: User, key: str) -> str:
    return f"ravada:people:{actor.id}:{key}"


def _stored(actor: User, key: str) -> _Table:
    stored = queues.redis.get(_redis_key(actor, key))
    sealed = stored.decode(errors="replace") if isinstance(stored, bytes) else ""
    document = unseal(sealed, Purpose.USERS_TABLE, settings().secret_key())
    if document is None:
        raise NotFound(message("people.import_expired"))
    makes_groups, rows = json.loads(document)
    return _Table({row["name"]: Row(**row) for row in rows}, makes_groups)


def _preview(key: str, table: _Table) -> Preview:
    rows, present = table.rows, _present(db.session(), table.rows)
    new = [name for name in rows if name not in present]
    changed = [name for name, user in present.items() if differs(user, rows[name])]
    confirm = any(_confirms(rows[name], present.get(name)) for name in (*new, *changed))
    left = len(rows) - len(new) - len(changed)
    passwords = sum(row.sets_password for row in rows.values())
    hashed = sum(row.password_hash is not None for row in rows.values())
    return Preview(key, new, sorted(changed), left, confirm, passwords, hashed, _new_groups(table))


def _new_groups(table: _Table) -> tuple[str, ...]:
    """The names of the groups that are made for it."""
    if not table.makes_groups:
        return ()
    named = {name for row in table.rows.values() for name in row.groups or ()}
    return tuple(sorted(named - set(db.session.scalars(select(Group.name)))))


def _confirms(row: Row, user: User | None) -> bool:
    """Whether taking the row gives somebody's account to another, or a person the administrator's rights."""
    promoted = row.role == Role.ADMINISTRATOR and (user is None or user.role != Role.ADMINISTRATOR)
    return promoted or (user is not None and row.sets_password)


def _present(session: Session, names: Iterable[str]) -> dict[str, User]:
    present: dict[str, User] = {}
    for some in batched(list(names), _CHUNK):
        query = select(User).where(User.name.in_(some)).options(selectinload(User.groups))
        present |= {user.name: user for user in session.scalars(query)}
    return present


def differs(user: User, row: Row) -> bool:
    """Whether taking the row changes the user."""
    return (
        row.sets_password
        or (row.role is not None and row.role != user.role)
        or (row.active is not None and row.active != user.active)
        or (row.groups is not None and set(row.groups) != {group.name for group in user.groups})
        or any(getattr(user, name) != value for name, value in row.quota.items())
    )


def import_rows(actor: User, key: str, present: str = "") -> Preview:
    """Do what a checked table asks for, all of it in one transaction; returns what was done.

    New users without a password cannot sign in until it is reset. `present` is the actor's own password, where the
    preview says so. Raises NotFound as `stored_preview` does, InvalidInput and TooManyAttempts for a wrong password,
    and Conflict where a group has gone, a name was taken or the actor has changed since.
    """
    rights.require(actor, "users.change")
    table = _stored(actor, key)
    rows, asked = table.rows, _preview(key, table)
    if not asked.ready:
        raise Conflict(message("people.import_not_ready"))
    if asked.confirm:
        confirmation.require(actor, present)
    with transaction() as session:
        result = _preview(key, table)
        # Nobody who has come meanwhile is given the password that was drawn for another.
        if (result.confirm and not asked.confirm) or any(rows[name].drawn for name in result.changed):
            raise Conflict(message("people.import_changed"))
        for name in result.groups:
            group_actions.create(actor, name=name)
        groups = dict(session.execute(select(Group.name, Group.id)).all())
        written = [rows[name] for name in (*result.created, *result.changed)]
        if missing := {name for row in written for name in row.groups or ()} - set(groups):
            raise Conflict(message("people.import_group_gone", name=min(missing)))
        alike = names.alike(session, result.created)
        if taken := [name for name in result.created if name_key(name) in alike]:
            raise Conflict(users.name_taken(taken[0], alike[name_key(taken[0])]))
        if (own := rows.get(actor.name)) and not keeps_oneself(own):
            raise Conflict(own_row())
        ids = _write(session, rows, result)
        _join(session, written, ids, groups)
        lines = [(ids[name], name, "create") for name in result.created]
        lines += [(ids[name], name, "edit") for name in result.changed]
        events.record_users(session, actor, lines, message("people.by_import"))
    queues.redis.delete(_redis_key(actor, key))
    drawn = ((name, rows[name].drawn or "") for name in result.created)
    return replace(result, drawn=tuple((name, password) for name, password in drawn if password))


def _write(session: Session, rows: Mapping[str, Row], plan: Preview) -> dict[str, int]:
    """Insert and update the users in bulk; returns the ids of all of them by name."""
    for some in batched(plan.created, _CHUNK):
        session.execute(insert(User), [_new(rows[name]) for name in some])
    ids: dict[str, int] = {}
    for some in batched([*plan.created, *plan.changed], _CHUNK):
        ids |= dict(session.execute(select(User.name, User.id).where(User.name.in_(some))).all())
    changes = [{"id": ids[name]} | _changes(rows[name]) for name in plan.changed]
    for alike in _by_columns(changes):
        session.execute(update(User), alike)
    # Users who are deactivated, or have a new password, are signed out.
    signed_out = [ids[name] for name in plan.changed if rows[name].active is False or rows[name].password_hash]
    for ended in batched(signed_out, _CHUNK):
        session.execute(delete(UserSession).where(UserSession.user_id.in_(ended)))
    return ids


def _new(row: Row) -> dict[str, Any]:
    blank: dict[str, Any] = dict.fromkeys(QUOTA_FIELDS)
    return {
        "name": row.name,
        "role": row.role or Role.USER.value,
        "active": row.active is not False,
        # An empty hash is no password's.
        "password_hash": row.password_hash or "",
        "must_change_password": row.password_hash is None or row.drawn is not None,
        **blank,
        **row.quota,
    }


def _changes(row: Row) -> dict[str, Any]:
    values: dict[str, Any] = dict(row.quota)
    for name in ("role", "active", "password_hash"):
        if (value := getattr(row, name)) is not None:
            values[name] = value
    return values


def _by_columns(changes: Sequence[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    """Apart by the columns that they set, as a bulk update wants them; those that set none are left out."""
    return grouped([change for change in changes if len(change) > 1], lambda change: tuple(sorted(change))).values()


def _join(session: Session, rows: Sequence[Row], ids: Mapping[str, int], groups: Mapping[str, int]) -> None:
    """Put the users whose rows name groups into exactly these."""
    placed = [row for row in rows if row.groups is not None]
    for some in batched(placed, _CHUNK):
        session.execute(delete(GroupMember).where(GroupMember.user_id.in_([ids[row.name] for row in some])))
        pairs = [{"user_id": ids[row.name], "group_id": groups[name]} for row in some for name in row.groups or ()]
        if pairs:
            session.execute(insert(GroupMember), pairs)
