"""Connections to the displays of this host's machines. Their folders are QEMU's, which may put anything there."""

import os
import socket
import stat
from posixpath import basename, dirname

from ravada_web.helper.requests import Refused

CONNECT_SECONDS = 4.0
_STEP = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


def connect(path: str) -> socket.socket:
    """A connection to a display's socket, no link being followed below libvirt's own folder. Raises Refused, and
    OSError."""
    folder = os.open(os.path.realpath(dirname(dirname(path))), _STEP | os.O_DIRECTORY)
    try:
        inner = os.open(basename(dirname(path)), _STEP | os.O_DIRECTORY, dir_fd=folder)
    finally:
        os.close(folder)
    try:
        at = os.open(basename(path), _STEP, dir_fd=inner)
    finally:
        os.close(inner)
    try:
        if not stat.S_ISSOCK(os.fstat(at).st_mode):
            raise Refused(f"no socket: {path!r}")
        plug = socket.socket(socket.AF_UNIX)
        try:
            plug.settimeout(CONNECT_SECONDS)
            plug.connect(f"/proc/self/fd/{at}")
            plug.settimeout(None)
        except OSError:
            plug.close()
            raise
        return plug
    finally:
        os.close(at)
