"""People: sign in, list, create."""

import re
from collections.abc import Sequence

from flask_babel import gettext as _
from sqlalchemy import select

from ravada_web.errors import InvalidInput, NotFound
from ravada_web.extensions import db
from ravada_web.identity.passwords import hash_password, matches, random_password
from ravada_web.models import Role, User
from ravada_web.services import access, events, guessing, origin, second_factor, sign_ins
from ravada_web.services.transaction import transaction

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,62}")
SHORTEST_PASSWORD = 8


def authenticate(name: str, password: str) -> User | None:
    """The user of that name and password, or None; it takes as long for a name that does not exist."""
    user = db.session.scalar(select(User).where(User.name == name))
    if not matches(password, user.password_hash if user else None) or user is None or not user.active:
        return None
    return user


def named(name: str) -> User | None:
    """The user of exactly that name, if there is one."""
    return db.session.scalar(select(User).where(User.name == name))


def note_refused(name: str) -> None:
    """Write down that a sign-in in that name was refused: once a minute for each place it comes from."""
    shown = "".join(letter for letter in name if letter.isprintable())[:64]
    if not guessing.first_in_a_minute("refused", shown, origin.address.get()):
        return
    with transaction() as session:
        events.record_refused_sign_in(session, named(name), shown)


def listing() -> Sequence[User]:
    """All users, by name."""
    return db.session.scalars(select(User).order_by(User.name)).all()


def by_name(name: str) -> User:
    """The user of that name. Raises NotFound."""
    user = db.session.scalar(select(User).where(User.name == name))
    if user is None:
        raise NotFound(_("There is no user “%(name)s”.", name=name))
    return user


def create(actor: User | None, name: str, role: str, password: str | None = None) -> tuple[User, str]:
    """Make a user; answers it and its password (drawn, where none is given), which is kept nowhere in clear.

    `actor` is None for the administrator of the machine, on the command line. Raises InvalidInput.
    """
    if actor is not None:
        access.require(actor, "users.change")
    password = password or random_password()
    with transaction() as session:
        wrong = _invalid(name, role, password)
        if wrong:
            raise InvalidInput(wrong)
        user = User(name=name, role=Role(role), password_hash=hash_password(password))
        session.add(user)
        events.record(session, actor, "create", user, role)
    return user, password


def _invalid(name: str, role: str, password: str) -> dict[str, str]:
    wrong = {}
    if not NAME.fullmatch(name):
        wrong["name"] = _("Letters, digits and . _ @ -, at most 63; it starts with a letter or digit.")
    elif db.session.scalar(select(User.id).where(User.name == name)):
        wrong["name"] = _("There is a user “%(name)s” already.", name=name)
    if role not in list(Role):
        wrong["role"] = _("One of: %(roles)s.", roles=", ".join(Role))
    if len(password) < SHORTEST_PASSWORD:
        wrong["password"] = _("At least %(count)s characters.", count=SHORTEST_PASSWORD)
    return wrong


def set_password(actor: User | None, user: User, password: str) -> None:
    """Give a user another password. Raises InvalidInput for one that is too short."""
    if actor is not None:
        access.require(actor, "users.change")
    if len(password) < SHORTEST_PASSWORD:
        raise InvalidInput({"password": _("At least %(count)s characters.", count=SHORTEST_PASSWORD)})
    with transaction() as session:
        user.password_hash = hash_password(password)
        events.record(session, actor, "set_password", user)


def change_password(user: User, present: str, password: str, keep_sign_in: int) -> int:
    """Change one's own password; answers how many other sign-ins were ended. Raises InvalidInput."""
    if not matches(present, user.password_hash):
        raise InvalidInput({"present": _("This is not your present password.")})
    if matches(password, user.password_hash):
        raise InvalidInput({"password": _("This is the password that you have already.")})
    if len(password) < SHORTEST_PASSWORD:
        raise InvalidInput({"password": _("At least %(count)s characters.", count=SHORTEST_PASSWORD)})
    with transaction() as session:
        user.password_hash, user.must_change_password = hash_password(password), False
        events.record(session, user, "set_password", user)
        return sign_ins.end_all(user, user, keep=keep_sign_in)


def reset_password(actor: User | None, user: User) -> str:
    """Give a user a drawn password, to be shown this once and changed at the next sign-in; ends all sign-ins.

    `actor` is None for the administrator on the machine. Raises NotAllowed.
    """
    if actor is not None:
        access.require(actor, "users.change")
    password = random_password()
    with transaction() as session:
        user.password_hash, user.must_change_password = hash_password(password), True
        events.record(session, actor, "reset_password", user)
        sign_ins.end_all(actor, user)
    return password


def reset_second_factor(actor: User | None, user: User) -> None:
    """Take a lost second factor away, and end all sign-ins. `actor` as above. Raises NotAllowed."""
    with transaction():
        second_factor.reset(actor, user)
        sign_ins.end_all(actor, user)


def ensure_first_administrator(name: str = "admin") -> str | None:
    """Make the first administrator where there is no user yet; answers the password, to be shown once, or None."""
    if db.session.scalar(select(User.id).limit(1)) is not None:
        return None
    return create(None, name, Role.ADMINISTRATOR)[1]
