"""Logging in at a host that is being joined."""

import time

from ravada_web.errors import InvalidInput
from ravada_web.remote.errors import KeyRefused, NodeUnreachable
from ravada_web.remote.login import Login, examine_login
from ravada_web.remote.target import Target, Workspace

LOGIN_SECONDS = 8.0


def log_in(workspace: Workspace, where: Target) -> tuple[Login, float]:
    """Log in; returns the login and the seconds it took.

    Raises InvalidInput for the field `user` where we have no access, `address` where nobody answers.
    """
    if where.local:
        return Login("root", "", socket=True), 0.0
    started = time.monotonic()
    try:
        return examine_login(workspace, where, deadline=LOGIN_SECONDS), time.monotonic() - started
    except KeyRefused as error:
        raise InvalidInput({"user": error.message}) from error
    except NodeUnreachable as error:
        raise InvalidInput({"address": error.message}) from error
