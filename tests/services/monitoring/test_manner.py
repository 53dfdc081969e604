"""How a node is away, by what became of its SSH: all but silence is an answer of something that is alive."""

import pytest

from ravada_web.messages import text
from ravada_web.models import Away
from ravada_web.remote.errors import (
    Code,
    DeadlineExceeded,
    HostKeyChanged,
    KeyRefused,
    NodeUnreachable,
    OwnFault,
    RemoteError,
)
from ravada_web.services.monitoring.examination import manner_of


@pytest.mark.parametrize(
    ("code", "away"),
    [
        ("refused", Away.REFUSES),
        ("not_ssh", Away.REFUSES),
        ("lost", Away.REFUSES),
        ("timeout", Away.SILENT),
        ("unknown_address", Away.SILENT),
    ],
)
def test_a_connection_that_failed(code: Code, away: Away) -> None:
    assert manner_of(NodeUnreachable(code, text("no"))) == away


@pytest.mark.parametrize(
    ("error", "away"),
    [
        # After its port took the connection: a host that hangs, and may have guests that run.
        (DeadlineExceeded(text("late")), Away.REFUSES),
        (KeyRefused(text("no")), Away.REFUSES),
        # Somebody is there, and be it another machine: that the node is off is no longer certain.
        (HostKeyChanged("n1", "SHA256:old", "SHA256:new"), Away.REFUSES),
        # What is wrong here says nothing of the node.
        (OwnFault(text("no key")), Away.SILENT),
    ],
)
def test_a_connection_that_was_made(error: RemoteError, away: Away) -> None:
    assert manner_of(error) == away
