"""The links process's part of a console: a running clone's display, reached over its node's link."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import joinedload

from ravada_web.extensions import db
from ravada_web.hypervisor.displays import read_displays
from ravada_web.hypervisor.errors import HypervisorError
from ravada_web.models import Clone
from ravada_web.remote.displays import display_opened
from ravada_web.remote.errors import DisplayGone, RemoteError
from ravada_web.remote.links import link_is_up
from ravada_web.services.consoles import tickets
from ravada_web.services.consoles.causes import Cause, away
from ravada_web.services.consoles.tickets import ConsoleRefused
from ravada_web.services.nodes import endpoints
from ravada_web.services.transaction import transaction

# The links process has few threads for this: a node that never answers holds one no longer.
LOOK_SECONDS = 8.0


@contextmanager
def opened(clone_id: int, look_up: bool) -> Iterator[socket.socket | None]:
    """A connection to the clone's display, closed with the block; None while the clone is still on its way. `look_up`
    has its libvirt say again where the display is.

    Raises ConsoleRefused: the node, its libvirt or the display cannot be reached, or the clone is off; and DisplayGone
    where the display is not where it was.
    """
    clone = db.session.get(Clone, clone_id, options=[joinedload(Clone.node)])
    if clone is None:
        raise ConsoleRefused(Cause.STOPPED)
    if tickets.comes(clone):
        yield None
        return
    if clone.state_in_use not in tickets.SHOWN:
        raise ConsoleRefused(Cause.NOT_RUNNING)
    try:
        where, remote = endpoints.target(clone.node), clone.display
        if look_up or not remote:
            remote = _look_up(clone)
        db.session.rollback()
        with display_opened(endpoints.workspace(), where, remote) as plug, plug:
            yield plug
    except DisplayGone:
        raise
    except (RemoteError, HypervisorError) as error:
        raise ConsoleRefused(away(clone)) from error


def _look_up(clone: Clone) -> str:
    with endpoints.connect(clone.node, within=LOOK_SECONDS) as connection:
        socket = read_displays(connection, clone.uuid).socket
    if not socket:
        raise ConsoleRefused(Cause.NOT_RUNNING)
    with transaction():
        clone.display = socket
    return socket


def lost_as(clone_id: int) -> Cause:
    """Why a display that was open has closed: its node went, or it was powered off."""
    clone = db.session.get(Clone, clone_id, options=[joinedload(Clone.node)])
    if clone is None:
        return Cause.STOPPED
    return Cause.STOPPED if link_is_up(endpoints.workspace(), endpoints.target(clone.node)) else away(clone)
