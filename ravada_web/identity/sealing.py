"""Secrets sealed by the installation's key, each for its purpose: what one purpose sealed no other opens."""

import base64
from enum import StrEnum

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class Purpose(StrEnum):
    """What a secret is for. The values go into the keys: one that changes loses all that was sealed by it."""

    SECOND_FACTOR = "second factor"
    NODE_PASSWORD = "node password"  # noqa: S105  a purpose
    VIEWER_FILE = "viewer file"
    LINK_STATES = "link states"
    FENCE = "fence agent"
    USERS_TABLE = "users table"


def seal(secret: str, purpose: Purpose, key: str) -> str:
    """Returns the secret sealed (Fernet) by a key of the purpose's own, which HKDF makes of the installation's."""
    return _box(purpose, key).encrypt(secret.encode()).decode()


def unseal(sealed: str, purpose: Purpose, key: str) -> str | None:
    """Returns the secret; None where it was sealed by another key or for another purpose."""
    try:
        return _box(purpose, key).decrypt(sealed.encode()).decode()
    except InvalidToken:
        return None


def _box(purpose: Purpose, key: str) -> Fernet:
    derived = HKDF(SHA256(), 32, salt=None, info=purpose.encode()).derive(key.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
