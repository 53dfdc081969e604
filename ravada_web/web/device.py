"""The device cookie: says in which people's names this browser has signed in before. It opens nothing; it only keeps
others' guesses from counting against it (services/sign_in/throttling.py)."""

import secrets

from flask import Response, current_app, request
from itsdangerous import BadSignature, URLSafeSerializer

from ravada_web.config import settings
from ravada_web.models import User

COOKIE = "device"
ONE_YEAR = 31_536_000
MOST_PEOPLE = 8


def _serializer() -> URLSafeSerializer:
    return URLSafeSerializer(str(current_app.secret_key), salt="device")


def words() -> dict[str, str]:
    """This browser's words of the users who have signed in here before, by their ids."""
    try:
        stored = _serializer().loads(request.cookies.get(COOKIE, ""))
    except BadSignature:
        return {}
    return stored if isinstance(stored, dict) else {}


def remember(answer: Response, user: User) -> None:
    """Know this browser as the user's from now on."""
    known = dict(list(words().items())[-MOST_PEOPLE:])
    known.setdefault(str(user.id), secrets.token_urlsafe(12))
    answer.set_cookie(
        COOKIE,
        str(_serializer().dumps(known)),
        max_age=ONE_YEAR,
        httponly=True,
        samesite="Lax",
        secure=settings().https,
    )
