"""The session's cookie, signed at one host and read at another, whose clocks may disagree."""

from datetime import datetime, timedelta
from typing import Any, Literal, overload

from flask import Flask, Response, request
from flask.sessions import SecureCookieSessionInterface, SessionMixin
from itsdangerous import SignatureExpired, TimestampSigner, URLSafeTimedSerializer

from ravada_web import clock


class SharedClockSigner(TimestampSigner):
    """Signs by the clock that all hosts share. What was signed by one that was ahead, by clock.SKEW at most, is as good
    as what is signed now: itsdangerous's own takes none of it, and so would sign people out."""

    def get_timestamp(self) -> int:
        """This moment, in seconds since the epoch."""
        return int(clock.now().timestamp())

    @overload
    def unsign(
        self, signed_value: str | bytes, max_age: int | None = None, return_timestamp: Literal[False] = False
    ) -> bytes: ...

    @overload
    def unsign(
        self, signed_value: str | bytes, max_age: int | None = None, return_timestamp: Literal[True] = True
    ) -> tuple[bytes, datetime]: ...

    def unsign(
        self, signed_value: str | bytes, max_age: int | None = None, return_timestamp: bool = False
    ) -> tuple[bytes, datetime] | bytes:
        """The value, and when it was signed. Raises BadSignature; SignatureExpired for one that holds no more."""
        value, signed = super().unsign(signed_value, max_age=None, return_timestamp=True)
        if max_age is not None and not clock.holds(signed, timedelta(seconds=max_age + 1)):
            raise SignatureExpired("The signature does not hold any more.", payload=value, date_signed=signed)
        return (value, signed) if return_timestamp else value


class Sessions(SecureCookieSessionInterface):
    """Flask's own, by the shared clock; and static files are the same for everybody: a cookie that changes makes no
    cache doubt them."""

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """What signs and reads the cookie."""
        serializer: Any = super().get_signing_serializer(app)
        if serializer is not None:
            serializer.signer = SharedClockSigner
        return serializer

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Send the cookie with pages alone."""
        if request.endpoint != "static":
            super().save_session(app, session, response)
