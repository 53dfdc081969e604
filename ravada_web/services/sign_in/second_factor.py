"""The second factor of a person: set up and confirmed, asked for at sign-in, renewed and disabled."""

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from ravada_web.config import settings
from ravada_web.errors import Conflict, InvalidInput
from ravada_web.extensions import db
from ravada_web.identity import second_factor
from ravada_web.identity.sealing import Purpose, seal, unseal
from ravada_web.messages import message
from ravada_web.models import RecoveryCode, User, now
from ravada_web.services import rate_limits
from ravada_web.services.audit import events
from ravada_web.services.sign_in import confirmation
from ravada_web.services.transaction import transaction


def demanded(user: User) -> bool:
    """Whether the user's role must have one."""
    return user.role in settings().second_factor_roles


def owed(user: User) -> bool:
    """Whether the user must set one up before anything else."""
    return demanded(user) and not user.has_second_factor


def begin(user: User) -> str:
    """The secret to be set up: drawn at first, the same until it is confirmed. Raises Conflict once it is."""
    if user.has_second_factor:
        raise Conflict(message("sign_in.has_second_factor"))
    if user.totp_secret and (former := _unsealed(user.totp_secret)):
        return former
    secret = second_factor.new_secret()
    with transaction():
        user.totp_secret = seal(secret, Purpose.SECOND_FACTOR, settings().secret_key())
    return secret


def enable(user: User, code: str, password: str) -> list[str]:
    """Confirm it as below, with the user's own password. Raises InvalidInput, TooManyAttempts."""
    confirmation.require(user, password)
    return confirm(user, code)


def confirm(user: User, code: str) -> list[str]:
    """Demand it from now on, confirmed by one of its codes; returns the recovery codes, to be shown this once.

    Raises InvalidInput for a wrong code.
    """
    with transaction() as session:
        step = _step(user, code)
        if user.has_second_factor or step is None:
            raise InvalidInput({"code": message("sign_in.wrong_code")})
        user.totp_since, user.totp_step = now(), step
        events.record(session, user, "second_factor_on", user)
        return _fresh_codes(session, user)


def _unsealed(sealed: str) -> str | None:
    return unseal(sealed, Purpose.SECOND_FACTOR, settings().secret_key())


def _step(user: User, code: str) -> int | None:
    """The code's time step, if it is a new one: later than the one that was used last. Where that one is still to come,
    each step is good once an hour, so that nobody is kept out until then, and no code is taken twice."""
    secret = _unsealed(user.totp_secret) if user.totp_secret else None
    moment = now().timestamp()
    step = second_factor.matching_step(secret, "".join(code.split()), moment) if secret else None
    if step is None or step > user.totp_step:
        return step
    if not second_factor.was_used_ahead(user.totp_step, moment):
        return None
    return step if rate_limits.first_in("hour", "code", str(user.id), str(step)) else None


def _fresh_codes(session: Session, user: User) -> list[str]:
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
    codes = second_factor.new_recovery_codes()
    digests = (second_factor.recovery_digest(code, user.id) for code in codes)
    session.add_all(RecoveryCode(user_id=user.id, code_hash=digest) for digest in digests)
    return codes


def accepts(user: User, code: str) -> bool:
    """Use a code up: one of the authenticator, or a recovery code. True once for each, and never for others'."""
    with transaction() as session:
        session.refresh(user, with_for_update=True)
        step = _step(user, code) if user.has_second_factor else None
        if step is not None:
            user.totp_step = max(step, user.totp_step)
            return True
        return user.has_second_factor and _use_recovery_code(session, user, code)


def _use_recovery_code(session: Session, user: User, code: str) -> bool:
    digest = second_factor.recovery_digest(code, user.id)
    unused = session.scalar(
        select(RecoveryCode)
        .where(RecoveryCode.user_id == user.id, RecoveryCode.code_hash == digest, RecoveryCode.used_at.is_(None))
        .limit(1)
    )
    if unused is None:
        return False
    session.execute(update(RecoveryCode).where(RecoveryCode.id == unused.id).values(used_at=now()))
    events.record(session, user, "recovery_code", user, message("sign_in.codes_left", count=codes_left(user) - 1))
    return True


def codes_left(user: User) -> int:
    """How many recovery codes were not used yet."""
    query = select(RecoveryCode.id).where(RecoveryCode.user_id == user.id, RecoveryCode.used_at.is_(None))
    return len(db.session.scalars(query).all())


def renew_codes(user: User, password: str) -> list[str]:
    """New recovery codes instead of the old ones, shown this once. Raises InvalidInput for a wrong password, and
    TooManyAttempts."""
    confirmation.require(user, password)
    if not user.has_second_factor:
        raise Conflict(message("sign_in.no_second_factor"))
    with transaction() as session:
        events.record(session, user, "recovery_codes", user)
        return _fresh_codes(session, user)


def disable(user: User, password: str) -> None:
    """Do without it from now on. Raises InvalidInput for a wrong password, Conflict where the role demands one, and
    TooManyAttempts."""
    confirmation.require(user, password)
    if demanded(user):
        raise Conflict(message("sign_in.second_factor_demanded"))
    forget(user, user)


def forget(actor: User | None, user: User) -> None:
    """Take it away; `actor` is None for the administrator on the machine. Who may, the caller has asked."""
    with transaction() as session:
        user.totp_secret, user.totp_since, user.totp_step = None, None, 0
        session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user.id))
        events.record(session, actor, "second_factor_off", user)
