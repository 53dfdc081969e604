"""The second factor: codes by time (TOTP, RFC 6238) and recovery codes. No rows, no clock."""

import hashlib
import secrets

import pyotp
import segno

STEP_SECONDS = 30
# One step either way: phones' clocks differ by seconds, and typing takes some (RFC 6238, 5.2).
DRIFT_STEPS = 1
ISSUER = "Ravada Web"
RECOVERY_CODES = 10
ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"


def new_secret() -> str:
    """A secret for an authenticator: 160 bits in base32."""
    return pyotp.random_base32()


def address(secret: str, name: str) -> str:
    """The otpauth:// address that authenticators read."""
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER)


def picture(secret: str, name: str) -> str:
    """The address as a QR code, as a data: URI."""
    return str(segno.make(address(secret, name), error="m").svg_data_uri(scale=5, border=2, light="#fff"))


def matching_step(secret: str, code: str, moment: float) -> int | None:
    """The time step, of those about now, whose code this is."""
    now_step = int(moment) // STEP_SECONDS
    for step in range(now_step - DRIFT_STEPS, now_step + DRIFT_STEPS + 1):
        expected = pyotp.TOTP(secret).at(step * STEP_SECONDS)
        if secrets.compare_digest(expected.encode(), code.encode()):
            return step
    return None


def was_used_ahead(last: int, moment: float) -> bool:
    """Whether the step that was used last is still to come: it was by a clock that was ahead."""
    return last > int(moment) // STEP_SECONDS + DRIFT_STEPS


def new_recovery_codes() -> list[str]:
    """Codes to be shown once: 50 bits each, in two groups that can be typed."""
    return ["-".join(_letters(5) for _group in range(2)) for _code in range(RECOVERY_CODES)]


def _letters(count: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _letter in range(count))


def recovery_digest(code: str, user_id: int) -> str:
    """What is kept of a recovery code; typed with blanks or capitals it is the same. Slow enough to guess (scrypt)."""
    plain = "".join(letter for letter in code.lower() if letter.isalnum())
    return hashlib.scrypt(plain.encode(), salt=f"recovery {user_id}".encode(), n=2**12, r=8, p=1, dklen=32).hex()
