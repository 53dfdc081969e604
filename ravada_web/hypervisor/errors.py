"""What goes wrong in a hypervisor, as errors of ours; libvirt's own never leave this room."""

from collections.abc import Iterator
from contextlib import contextmanager

import libvirt
import structlog

from ravada_web.messages import Message, MessageError, message, text
from ravada_web.messages.foreign import printable

log = structlog.get_logger()
# The connection itself is gone or never was.
_LOST = {
    libvirt.VIR_ERR_NO_CONNECT,
    libvirt.VIR_ERR_SYSTEM_ERROR,
    libvirt.VIR_ERR_RPC,
    libvirt.VIR_ERR_INVALID_CONN,
    libvirt.VIR_ERR_INTERNAL_ERROR,
}


class HypervisorError(MessageError):
    """libvirt, or QEMU under it, refused something; its own words are hostile as any from a node."""


class HypervisorUnreachable(HypervisorError):
    """libvirt does not answer; `hangs` says that it took the connection and then said nothing in time."""

    def __init__(self, message: Message | str, *, hangs: bool = False) -> None:
        super().__init__(message)
        self.hangs = hangs


@contextmanager
def translated() -> Iterator[None]:
    """Turn libvirt's errors inside the block into ours."""
    try:
        yield
    except libvirt.libvirtError as error:
        lost = error.get_error_code() in _LOST and error.get_error_domain() == libvirt.VIR_FROM_RPC
        raise (HypervisorUnreachable if lost else HypervisorError)(libvirt_words(error)) from error


@contextmanager
def reading() -> Iterator[None]:
    """Read a libvirt's answer inside the block: what cannot be made of it is that libvirt's own failure, whatever
    Python calls it. Raises HypervisorError."""
    try:
        with translated():
            yield
    except MessageError:
        raise
    except Exception as error:
        if not isinstance(error, (ValueError, LookupError)):
            log.warning("libvirt's answer cannot be read", exc_info=True)
        raise HypervisorError(message("hypervisor.unreadable", said=printable(repr(error)))) from error


def libvirt_words(error: libvirt.libvirtError) -> Message:
    """What libvirt says, bounded and printable."""
    return text(printable(error.get_error_message() or "")) or message("hypervisor.no_words")


def is_code(error: libvirt.libvirtError, *codes: int) -> bool:
    """Whether the error is one of these."""
    return error.get_error_code() in codes
