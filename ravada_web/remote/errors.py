"""What can go wrong between us and a node, each error with a message for an administrator."""

from typing import Literal

from ravada_web.messages import Message, MessageError, message
from ravada_web.messages.foreign import printable

Code = Literal["unknown_address", "refused", "timeout", "not_ssh", "lost"]
# A shell's status for a program that is not there.
NOT_INSTALLED = 127


class RemoteError(MessageError):
    """Something on the way to a node, or on it, failed."""


class NodeUnreachable(RemoteError):
    """SSH to the node does not work; `code` says how, for the field of a form that it belongs to."""

    def __init__(self, code: Code, message: Message | str) -> None:
        super().__init__(message)
        self.code = code


class HostKeyChanged(RemoteError):
    """The host showed another key than the pinned one: it was reinstalled, or it is another machine.

    `old` and `new` are SHA-256 fingerprints; `new` is empty when the host showed a key of another kind.
    """

    def __init__(self, name: str, old: str, new: str) -> None:
        if new:
            super().__init__(message("remote.host_key_changed", name=name, old=old, new=new))
        else:
            super().__init__(message("remote.host_key_gone", name=name, old=old))
        self.old = old
        self.new = new


class OwnFault(RemoteError):
    """ssh could not be run as it is to be on this very server; the node has no part in it."""


class DisplayGone(RemoteError):
    """A display of this host is not where it was."""

    def __init__(self, why: OSError) -> None:
        super().__init__(message("remote.display_silent", said=printable(str(why))))


class KeyRefused(RemoteError):
    """The host refuses our key, or its user may not act as root."""


class CommandFailed(RemoteError):
    """A command ended with another status than 0; `stderr` is the end of what it said, made printable.

    `step` is what was being done there: a program's name, or a message.
    """

    def __init__(self, name: str, step: Message | str, status: int, stderr: Message | str) -> None:
        self.step = step
        self.status = status
        self.stderr = stderr
        if status == NOT_INSTALLED:
            sentence = message("remote.command_missing", step=step, name=name, stderr=stderr)
        elif stderr:
            sentence = message("remote.command_failed", step=step, name=name, status=status, stderr=stderr)
        else:
            sentence = message("remote.command_silent", step=step, name=name, status=status)
        super().__init__(sentence)


class UnreadableAnswer(RemoteError):
    """A command ended well, and what it wrote makes no sense, or is without end: that host's own trouble."""


class InvalidTarget(RemoteError):
    """A node's address, user or host key is none that SSH can be given."""


class DeadlineExceeded(RemoteError):
    """A command did not end in time and was stopped."""


class CopyFailed(RemoteError):
    """A file's copy stopped half-way, or arrived with another length."""


class ImageRefused(RemoteError):
    """A disk image is missing, is none, or is one that must not be used."""


class LinksTaken(RemoteError):
    """Another process keeps the links of this folder."""
