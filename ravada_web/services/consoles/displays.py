"""The links process's part of a console: a running clone's display, reached over its node's link."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

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
    """A connection to the clone's display, closed with the block; None while the clone is still on its way, or between
    two nodes. `look_up` has its libvirt say again where the display is.

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
    is_between = clone.moves_live
    with ExitStack() as opened_here:
        try:
            where, remote = endpoints.target(clone.node), clone.display
            if look_up or not remote:
                remote = _look_up(clone)
            db.session.rollback()
            plug = opened_here.enter_context(display_opened(endpoints.workspace(), where, remote)) if remote else None
        except DisplayGone:
            if not is_between:
                raise
            plug = None
        except (RemoteError, HypervisorError) as error:
            raise ConsoleRefused(away(clone)) from error
        yield opened_here.enter_context(plug) if plug else None


def _look_up(clone: Clone) -> str:
    """Where its display is; "" while it is between two nodes."""
    with endpoints.connect(clone.node, within=LOOK_SECONDS) as connection:
        socket = read_displays(connection, clone.uuid).socket
    if not socket:
        if clone.moves_live:
            return ""
        raise ConsoleRefused(Cause.NOT_RUNNING)
    with transaction():
        clone.display = socket
    return socket


def lost_as(clone_id: int, node_id: int) -> Cause | None:
    """Why a display that was open on this node has closed: its clone moved, its node went, or it was powered off; None
    while it is between two nodes."""
    clone = db.session.get(Clone, clone_id, options=[joinedload(Clone.node)])
    if clone is None:
        return Cause.STOPPED
    if clone.node_id != node_id:
        return Cause.MOVED
    if not link_is_up(endpoints.workspace(), endpoints.target(clone.node)):
        return away(clone)
    return None if clone.moves_live else Cause.STOPPED
