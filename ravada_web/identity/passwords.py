"""Passwords: hashed with argon2id, checked in the same time whether or not the user exists."""

import secrets
from base64 import b64encode

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError


def _nobodys(hasher: PasswordHasher) -> str:
    """A hash of that cost which no password has: drawn, since computing one takes a tenth of a second."""
    lengths = (hasher.salt_len, hasher.hash_len)
    salt, hashed = (b64encode(secrets.token_bytes(length)).decode().rstrip("=") for length in lengths)
    cost = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    return f"$argon2id$v=19${cost}${salt}${hashed}"


# argon2-cffi's defaults follow RFC 9106's low-memory recommendation.
_hasher = PasswordHasher()
# Checked for unknown users, so that they take as long as known ones.
_NOBODY = _nobodys(_hasher)


def hash_password(password: str) -> str:
    """The hash to keep."""
    return _hasher.hash(password)


def matches(password: str, hashed: str | None) -> bool:
    """Whether the password is the one that was hashed; False, in the same time, for None (nobody)."""
    try:
        return _hasher.verify(hashed or _NOBODY, password) and hashed is not None
    except (VerificationError, InvalidHashError):
        return False


def random_password() -> str:
    """A password to be shown once: 96 bits, no characters that are mistaken for others by their shape."""
    alphabet = "abcdefghijkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(alphabet) for _letter in range(5)) for _group in range(4))
