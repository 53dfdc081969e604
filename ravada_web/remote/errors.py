"""What can go wrong between us and a node; `str(error)` is a finished text for an administrator."""

from typing import Literal

Code = Literal["unknown_address", "refused", "timeout", "not_ssh", "lost"]
LONGEST_TAIL = 500


class RemoteError(Exception):
    """Something on the way to a node, or on it, failed."""


class NodeUnreachable(RemoteError):
    """SSH to the node does not work; `code` says how, for the field of a form that it belongs to."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code


class HostKeyChanged(RemoteError):
    """The host showed another key than the pinned one: it was set up anew, or it is another machine.

    `old` and `new` are SHA-256 fingerprints; `new` is empty when the host showed a key of another kind.
    """

    def __init__(self, name: str, old: str, new: str) -> None:
        shown = f"now shows {new}" if new else "no longer shows that key"
        super().__init__(
            f"The host key of {name} has changed: {old} was accepted, the host {shown}. Either it was "
            "installed anew, or another machine answers at its address. Compare the fingerprint on the host itself "
            "(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub) before accepting the new one."
        )
        self.old = old
        self.new = new


class KeyRefused(RemoteError):
    """The host does not let us in with our key, or its user may not act as root."""


class CommandFailed(RemoteError):
    """A command ended with another status than 0; `stderr` is the end of what it said, made printable."""

    def __init__(self, name: str, label: str, status: int, stderr: str) -> None:
        self.label = label
        self.status = status
        self.stderr = stderr
        said = f": {stderr}" if stderr else ", without a word."
        super().__init__(f"{label} failed on {name} (exit status {status}){said}")


class DeadlineExceeded(RemoteError):
    """A command did not end in time and was stopped."""

    def __init__(self, name: str, label: str, seconds: float) -> None:
        super().__init__(
            f"{name} did not answer within {seconds:g} s ({label}). It may be off, cut off from the network, "
            "or overloaded."
        )


class CopyFailed(RemoteError):
    """A file's copy stopped half-way, or arrived with another length."""


class ImageRefused(RemoteError):
    """A disk image is missing, is none, or is one that must not be used."""


class LinksTaken(RemoteError):
    """Another process keeps the links of this folder."""


def printable(raw: bytes | str) -> str:
    """The end of a node's output as one line, safe to log and to show: control characters become spaces."""
    text = raw.decode(errors="replace") if isinstance(raw, bytes) else raw
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= LONGEST_TAIL else "…" + line[-LONGEST_TAIL:]
