"""What the gateway asks of the links process, and nothing else: the display of a clone, by its id.

Each connection is one request and one answer, a packet each. The display comes as a connection that is passed on
(SCM_RIGHTS): the gateway needs no key, no link's socket, and no path on a node.
"""

import re
import socket
from contextlib import suppress
from functools import partial
from pathlib import Path

from ravada_web.config import settings
from ravada_web.guard import guarded
from ravada_web.messages import Message
from ravada_web.remote.errors import DisplayGone
from ravada_web.services.consoles import displays
from ravada_web.services.consoles.causes import Cause
from ravada_web.services.consoles.tickets import ConsoleRefused

SHOW = re.compile(rb"(show|find) ([0-9]{1,18})")
WHY = re.compile(rb"why ([0-9]{1,18}) ([0-9]{1,18})")
LONGEST = 64
BACKLOG = 128
# Who has connected asks at once; a node that hangs is given up by the links process sooner than this.
REQUEST_SECONDS, ANSWER_SECONDS = 2.0, 20.0
# Beside the causes of a refusal, the answers: the display, the clone is on its way to one, it is not where it was.
SHOWN, COMES, GONE = b"shown", b"comes", b"gone"


def open_for(clone_id: int, look_up: bool = False) -> socket.socket | None:
    """A connection to a running clone's display; None while the clone is still on its way, or between two nodes.
    `look_up` has its libvirt say again where the display is.

    Raises ConsoleRefused, and ConnectionError where the display is not where it was.
    """
    answer, plug = _ask(f"{'find' if look_up else 'show'} {clone_id}")
    if answer == GONE:
        raise ConnectionError
    if answer == SHOWN and plug:
        return plug
    if answer == COMES:
        return None
    raise ConsoleRefused(_cause(answer))


def lost_as(clone_id: int, node_id: int) -> Cause | None:
    """Why a display that was open on this node has closed: its clone moved, its node went, or it was powered off; None
    while it is between two nodes."""
    answer, _plug = _ask(f"why {clone_id} {node_id}")
    return None if answer == COMES else _cause(answer)


def _ask(request: str) -> tuple[bytes, socket.socket | None]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as plug:
        plug.settimeout(ANSWER_SECONDS)
        try:
            plug.connect(str(settings().displays_socket))
            plug.send(request.encode())
            answer, passed, _flags, _sender = socket.recv_fds(plug, LONGEST, 1, socket.MSG_CMSG_CLOEXEC)
        except OSError:  # the links process is away
            return Cause.UNREACHABLE.encode(), None
    return answer, socket.socket(fileno=passed[0]) if passed else None


def _cause(answer: bytes) -> Cause:
    try:
        return Cause(answer.decode())
    except ValueError:
        return Cause.BROKEN


def listen(path: Path) -> socket.socket:
    """The socket at which requests come; a former one is replaced."""
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(str(path))
    path.chmod(0o660)
    listening.listen(BACKLOG)
    return listening


def answer(plug: socket.socket) -> None:
    """Read one request and answer it; whatever is no request has no answer. Raises what is everybody's: the database
    is away."""
    with suppress(OSError):  # who asked has gone
        plug.settimeout(REQUEST_SECONDS)
        request = plug.recv(LONGEST)
        if wanted := SHOW.fullmatch(request):
            with guarded(partial(_broken, plug), clone=int(wanted[2])):
                _show(plug, int(wanted[2]), look_up=wanted[1] == b"find")
        elif wanted := WHY.fullmatch(request):
            with guarded(partial(_broken, plug), clone=int(wanted[1])):
                cause = displays.lost_as(int(wanted[1]), int(wanted[2]))
                plug.send(cause.encode() if cause else COMES)


def _show(plug: socket.socket, clone_id: int, *, look_up: bool) -> None:
    try:
        with displays.opened(clone_id, look_up) as display:
            if display is None:
                plug.send(COMES)
            else:
                socket.send_fds(plug, [SHOWN], [display.fileno()])
    except ConsoleRefused as refused:
        plug.send(refused.cause.encode())
    except DisplayGone:
        plug.send(GONE)


def _broken(plug: socket.socket, _reason: Message) -> None:
    plug.send(Cause.BROKEN.encode())
