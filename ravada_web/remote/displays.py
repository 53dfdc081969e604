"""Displays of a node's guests, brought to sockets here over the node's link; they listen on no network."""

import hashlib
import subprocess
from contextlib import suppress
from pathlib import Path

from ravada_web.messages import message
from ravada_web.messages.foreign import printable
from ravada_web.remote.commands import run
from ravada_web.remote.errors import NodeUnreachable
from ravada_web.remote.links import link_is_up
from ravada_web.remote.target import Target, Workspace, checked_path

FORWARD_SECONDS = 4.0
PATTERN = "d*.vnc"
# Displays belong to QEMU's user. A login that is not root is let through to this one, and to nothing beside it.
ADMIT = """
setfacl -m "u:$1:rw" -- "$2" || exit 1
folder=$2
while folder=$(dirname "$folder"); [ "$folder" != / ]; do
    case $(stat -c %A "$folder") in *x) ;; *) setfacl -m "u:$1:x" -- "$folder" || exit 1 ;; esac
done
"""


def local_socket(workspace: Workspace, target: Target, display: str) -> Path:
    """Where the display is found here; every run of a guest has a display, and so a name, of its own."""
    if target.local:
        return Path(display)
    digest = hashlib.sha256(display.encode()).hexdigest()[:10]
    return workspace.run_dir / f"d{target.node_id}-{digest}.vnc"


def open_display(workspace: Workspace, target: Target, display: str) -> Path:
    """Have the node's link forward the display's socket; returns the local one. Takes about 10 ms.

    Raises NodeUnreachable where the link is not up, or does not forward, and CommandFailed where our login, not being
    root, is not let through to it.
    """
    local = local_socket(workspace, target, checked_path(display))
    if target.local:
        return local
    if not link_is_up(workspace, target):
        raise NodeUnreachable("lost", message("remote.link_down", name=target.name))
    if target.user != "root":
        _admit(workspace, target, display)
    _mux(workspace, target, "forward", local, display)
    if not local.exists():
        # The link forwards it since before, to a socket that somebody has removed: it has to be made again.
        _mux(workspace, target, "cancel", local, display)
        _mux(workspace, target, "forward", local, display)
    return local


def close_display(workspace: Workspace, target: Target, display: str) -> None:
    """Stop the forwarding; nothing happens where the link is already gone."""
    if target.local:
        return
    local = local_socket(workspace, target, display)
    with suppress(NodeUnreachable):
        _mux(workspace, target, "cancel", local, display)
    local.unlink(missing_ok=True)


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
