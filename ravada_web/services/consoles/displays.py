"""Where a running clone's display is, brought here over its node's link."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import joinedload

from ravada_web.extensions import db
from ravada_web.hypervisor.displays import read_displays
from ravada_web.hypervisor.errors import HypervisorError
from ravada_web.models import Clone
from ravada_web.remote import displays
from ravada_web.remote.errors import RemoteError
from ravada_web.remote.links import link_is_up
from ravada_web.remote.target import Target
from ravada_web.services.consoles import tickets
from ravada_web.services.consoles.causes import Cause
from ravada_web.services.consoles.tickets import ConsoleRefused
from ravada_web.services.nodes import endpoints
from ravada_web.services.transaction import transaction

# A gateway has few threads for this: a node that never answers holds one no longer.
LOOK_SECONDS = 8.0


@dataclass(frozen=True)
class Display:
    """A display as the gateway reaches it: the local socket, and what it takes to release it."""

    target: Target
    remote: str
    local: Path


def open_for(clone_id: int, look_up: bool = False) -> Display | None:
    """Bring a running clone's display here; None while the clone is still on its way. `look_up` has its libvirt say
    again where the display is.

    Raises ConsoleRefused: the node, its libvirt or the display cannot be reached, or the clone is off.
    """
    clone = db.session.get(Clone, clone_id, options=[joinedload(Clone.node)])
    if clone is None:
        raise ConsoleRefused(Cause.STOPPED)
    if tickets.comes(clone):
        return None
    if clone.state not in tickets.SHOWN:
        raise ConsoleRefused(Cause.NOT_RUNNING)
    remote = clone.display
    try:
        where = endpoints.target(clone.node)
        if look_up or not remote:
            remote = _look_up(clone)
        return Display(where, remote, displays.open_display(endpoints.workspace(), where, remote))
    except (RemoteError, HypervisorError) as error:
        raise ConsoleRefused(Cause.UNREACHABLE) from error


def _look_up(clone: Clone) -> str:
    with endpoints.connect(clone.node, within=LOOK_SECONDS) as connection:
        socket = read_displays(connection, clone.uuid).socket
    if not socket:
        raise ConsoleRefused(Cause.NOT_RUNNING)
    with transaction():
        clone.display = socket
    return socket


def close(display: Display) -> None:
    """Release a display that is no longer used."""
    displays.close_display(endpoints.workspace(), display.target, display.remote)


def lost_as(clone_id: int) -> Cause:
    """Why a display that was open has closed: its node went, or it was powered off."""
    clone = db.session.get(Clone, clone_id, options=[joinedload(Clone.node)])
    if clone is None:
        return Cause.STOPPED
    return Cause.STOPPED if link_is_up(endpoints.workspace(), endpoints.target(clone.node)) else Cause.UNREACHABLE


def sweep() -> None:
    """Remove the sockets that a killed gateway left."""
    for path in endpoints.workspace().run_dir.glob(displays.PATTERN):
        path.unlink(missing_ok=True)
