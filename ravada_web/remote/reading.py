"""Reading what a node answered: what cannot be made of it is that node's own failure, whatever Python calls it."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from ravada_web.messages import Message, message
from ravada_web.remote.errors import RemoteError, UnreadableAnswer

log = structlog.get_logger()


@contextmanager
def reading(name: str, step: Message | str) -> Iterator[None]:
    """Read, inside the block, what the node of that name answered to a step. Raises UnreadableAnswer."""
    try:
        yield
    except RemoteError:
        raise
    except Exception as error:
        if not isinstance(error, (ValueError, LookupError)):
            log.warning("an answer cannot be read", node=name, exc_info=True)
        raise UnreadableAnswer(message("remote.unreadable", step=step, name=name)) from error
