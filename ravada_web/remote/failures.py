"""What a failed connection means. It is judged by ssh's own log alone; what the host said is shown, never searched.

A cause is named only where ssh named it. Everything else is the host's own last words, quoted.
"""

import re
from typing import Any

from ravada_web.messages import Message, message, sentences
from ravada_web.messages.foreign import printable
from ravada_web.remote.changed_keys import changed
from ravada_web.remote.errors import Code, DeadlineExceeded, KeyRefused, NodeUnreachable, OwnFault, RemoteError
from ravada_web.remote.ssh import fingerprint_of
from ravada_web.remote.target import Target

LOGGED_IN = "Authenticated to "
# Lines of a log that report no trouble: the link's session was refused, and a connection of its own was made instead.
_NO_TROUBLE = (
    LOGGED_IN,
    "Transferred: sent ",
    "Bytes per second: ",
    "mux_client_request_session: session request failed",
)
# What ssh says on its standard error rather than to its log, as the last line, when an open connection ends.
_ENDED = re.compile(r"(Connection to \S+ closed by remote host\.|Read from remote host \S+: .*)\r?\n?$")
LONGEST_LAST = 1000
_OWN_FAULT = re.compile(
    r"Load key |no such identity|unix_listener: |muxserver_listen|Couldn't open logfile|No user exists for uid"
    r"|Could not request local forwarding|command-line: |Bad configuration option"
)
_CHANGED = re.compile(r"Host key verification failed\.|@ +WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED")
_REFUSED = re.compile(r"\S+: Permission denied \(|Received disconnect from .*Too many authentication failures")


def classify(target: Target, log: bytes, said: bytes = b"") -> RemoteError | None:
    """What went wrong with the connection, for an administrator; None where it did not fail: then it is the far
    command that did.

    `log` is ssh's own, `said` what came over its standard error, which is mostly the host's.
    """
    lines = [line.strip() for line in log.decode(errors="replace").splitlines() if line.strip()]
    troubles = [line for line in lines if not line.startswith(_NO_TROUBLE)]
    if logged_in(log):
        return _after_login(target, troubles, said)
    return _before_login(target, troubles, said) if troubles else _ended(target, said)


def logged_in(log: bytes) -> bool:
    """Whether that ssh has logged in by a connection of its own; over a link it does not report it."""
    return log.startswith(LOGGED_IN.encode()) or b"\n" + LOGGED_IN.encode() in log


def closed(target: Target, said: bytes = b"") -> NodeUnreachable:
    """The error for a connection that ended, and ssh did not say why."""
    return _lost(target, printable(said) or message("remote.closed_silently"))


def late(target: Target, step: Message | str, seconds: float, log: bytes, said: bytes = b"") -> DeadlineExceeded:
    """The error for what did not end in time: how far it came, and the last that the host said."""
    words = printable(said)
    if words:
        why = message("remote.late_words", name=target.name, step=step, deadline_seconds=seconds, said=words)
    elif logged_in(log):
        why = message("remote.late_inside", name=target.name, step=step, deadline_seconds=seconds, user=target.user)
    else:
        why = message("remote.deadline", name=target.name, step=step, deadline_seconds=seconds)
    return DeadlineExceeded(why)


def with_words(sentence: Message, said: bytes) -> Message:
    """The sentence, and what the host said, where it said anything."""
    words = printable(said)
    return sentences(sentence, message("remote.it_said", said=words)) if words else sentence


def _lost(target: Target, why: Message | str) -> NodeUnreachable:
    return NodeUnreachable("lost", message("remote.broke", **_place(target), said=why))


def _place(target: Target) -> dict[str, Any]:
    return {"name": target.name, "host": target.host, "port": target.port}


def _ended(target: Target, said: bytes) -> RemoteError | None:
    last = _ENDED.search(said[-LONGEST_LAST:].decode(errors="replace"))
    return _lost(target, printable(last[1])) if last else None


def _after_login(target: Target, troubles: list[str], said: bytes) -> RemoteError | None:
    """For a connection that was in."""
    for line in troubles:
        if line.startswith("Timeout, server "):
            return NodeUnreachable("lost", message("remote.stopped_answering", name=target.name))
        if line.startswith("channel 0: open failed"):
            return NodeUnreachable("lost", message("remote.no_sessions", name=target.name, user=target.user))
        if _OWN_FAULT.match(line):
            return OwnFault(message("remote.own_fault", name=target.name, said=printable(line)))
    return _lost(target, printable("\n".join(troubles))) if troubles else _ended(target, said)


def _before_login(target: Target, troubles: list[str], said: bytes) -> RemoteError:
    """For one that was not."""
    log = "\n".join(troubles)
    if any(_CHANGED.match(line) for line in troubles):
        shown = re.search(r"^The fingerprint for .* sent by the remote host is\s+(SHA256:[A-Za-z0-9+/]{43})", log, re.M)
        return changed(target, fingerprint_of(target.host_key), shown[1] if shown else "")
    if own := next((line for line in troubles if _OWN_FAULT.match(line)), ""):
        return OwnFault(message("remote.own_fault", name=target.name, said=printable(own)))
    if any(_REFUSED.match(line) for line in troubles):
        refused = message("remote.key_refused", name=target.name, user=target.user)
        return KeyRefused(with_words(refused, said))
    for pattern, code, meaning in _meanings(target):
        if re.search(pattern, log, re.MULTILINE):
            return NodeUnreachable(code, with_words(meaning, said))
    return NodeUnreachable("lost", with_words(_lost(target, printable(log)).message, said))


def _meanings(target: Target) -> tuple[tuple[str, Code, Message], ...]:
    """What ssh reports (a pattern at the beginning of a line), what it is, and our message. The first match holds."""
    place = _place(target)
    return (
        (
            r"^ssh: Could not resolve hostname",
            "unknown_address",
            message("remote.unknown_address_of", name=target.name, host=target.host),
        ),
        (r"^ssh: connect to (host|address) .*Connection refused", "refused", message("remote.refused", **place)),
        (r"^ssh: connect to (host|address) ", "timeout", message("remote.no_answer", **place)),
        (r"^Connection timed out during banner exchange", "timeout", message("remote.silent_port", **place)),
        (
            r"banner line contains|^Bad remote protocol|^Protocol major versions|^Unable to negotiate with"
            r"|^Bad packet length|message authentication code incorrect|: invalid format$",
            "not_ssh",
            message("remote.not_ssh", **place),
        ),
        (
            r"^kex_exchange_identification: |Not allowed at this time|exceeded MaxStartups",
            "lost",
            message("remote.turned_away", **place),
        ),
        (r"^Connection (closed|reset) by ", "lost", message("remote.closed_at_login", **place)),
        (r"^Timeout, server ", "lost", message("remote.stopped_answering", name=target.name)),
    )
