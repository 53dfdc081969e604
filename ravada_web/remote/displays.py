"""Displays of a node's guests, reached from here over the node's link; they listen on no network."""

import secrets
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ravada_web.messages import message
from ravada_web.messages.foreign import printable
from ravada_web.remote.commands import run
from ravada_web.remote.errors import DisplayGone, NodeUnreachable
from ravada_web.remote.helper import open_display
from ravada_web.remote.links import link_is_up
from ravada_web.remote.target import Target, Workspace, checked_path

FORWARD_SECONDS = 4.0
# Displays belong to QEMU's user. A login that is not root is let through to this one, and to nothing beside it.
ADMIT = """
setfacl -m "u:$1:rw" -- "$2" || exit 1
folder=$2
while folder=$(dirname "$folder"); [ "$folder" != / ]; do
    case $(stat -c %A "$folder") in *x) ;; *) setfacl -m "u:$1:x" -- "$folder" || exit 1 ;; esac
done
"""


@contextmanager
def display_opened(workspace: Workspace, target: Target, display: str) -> Iterator[socket.socket]:
    """A connection to the display at that path of the node, over the node's link; takes about 10 ms. It outlives the
    block, which ends the forwarding that it was made by; nothing of it stays behind.

    Raises NodeUnreachable where the link is not up, or does not forward, CommandFailed where our login, not being
    root, is not let through to it, and DisplayGone where there is none at the path.
    """
    checked_path(display)
    if target.local:
        yield _here(workspace, target, display)
        return
    if not link_is_up(workspace, target):
        raise NodeUnreachable("lost", message("remote.link_down", name=target.name))
    if target.user != "root":
        _admit(workspace, target, display)
    local = workspace.run_dir / f"d{target.node_id}-{secrets.token_hex(4)}.vnc"
    _mux(workspace, target, "forward", local, display)
    try:
        yield _connected(local)
    finally:
        with suppress(NodeUnreachable):  # then it has ended by itself
            _mux(workspace, target, "cancel", local, display)
        local.unlink(missing_ok=True)


def _here(workspace: Workspace, target: Target, display: str) -> socket.socket:
    helper = workspace.helper_socket
    if helper is None:
        return _connected(Path(display))
    try:
        return open_display(helper, target, display)
    except OSError as error:
        raise DisplayGone(error) from error


def _connected(path: Path) -> socket.socket:
    plug = socket.socket(socket.AF_UNIX)
    try:
        plug.settimeout(FORWARD_SECONDS)
        plug.connect(str(path))
    except OSError as error:
        plug.close()
        raise DisplayGone(error) from error
    return plug


def _admit(workspace: Workspace, target: Target, display: str) -> None:
    argv = ["sh", "-c", ADMIT, "sh", target.user, display]
    run(workspace, target, argv, deadline=FORWARD_SECONDS, step=message("remote.step_admit"))


def _mux(workspace: Workspace, target: Target, verb: str, local: Path, display: str) -> None:
    control = workspace.control(target)
    command = ["ssh", "-F", "/dev/null", "-O", verb, "-L", f"{local}:{display}", "-S", str(control)]
    try:
        result = subprocess.run(
            [*command, "--", target.host], capture_output=True, stdin=subprocess.DEVNULL, timeout=FORWARD_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise NodeUnreachable("timeout", message("remote.link_silent", name=target.name)) from error
    if result.returncode:
        raise NodeUnreachable("lost", message("remote.no_forward", name=target.name, said=printable(result.stderr)))
