"""The one place that hears of a changed host key, by whichever way to a host it was met."""

from collections.abc import Callable

from ravada_web.messages import Message
from ravada_web.remote.errors import HostKeyChanged
from ravada_web.remote.target import Target

Listener = Callable[[Target, Message], None]
_listeners: list[Listener] = []


def listen(listener: Listener) -> None:
    """Have this function, and no other, called at once for each changed key, in the thread that met it."""
    _listeners[:] = [listener]


def changed(target: Target, old: str, new: str) -> HostKeyChanged:
    """Tell the listener that the target shows another key than its pinned one; returns the error to raise.

    `old` and `new` are fingerprints; `new` is "" where it shows none of that kind.
    """
    error = HostKeyChanged(target.name, old, new)
    for listener in _listeners:
        listener(target, error.message)
    return error
