"""Expecting that something is refused, by the kind and the figures of what is said."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ravada_web.messages import MessageError


@contextmanager
def refused(error: type[MessageError], kind: str, **figures: object) -> Iterator[None]:
    """The block raises such an error with a message of this kind, which has at least these figures."""
    with pytest.raises(error) as caught:
        yield
    message = caught.value.message
    assert message.kind == kind, str(message)
    assert {name: message.figures.get(name) for name in figures} == figures
