"""Notifying administrators of trouble: when a message is due, what it says, and that each channel gets it once.

A worsening is sent as soon as no other has come for a moment: what one broken switch does to thirty nodes is one
message. A recovery is sent once it has lasted for `alert_settle`: a node that flaps is one
message, and one more when it is stable. All that is due goes into one message. What was sent is recorded for each
channel: one that failed gets the present state, and no other gets anything twice.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from http.client import HTTPException

import structlog
from redis.exceptions import LockError
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from ravada_web.clock import is_recent
from ravada_web.config import settings
from ravada_web.errors import Conflict
from ravada_web.extensions import db, queues
from ravada_web.guard import guarded
from ravada_web.messages import NOTHING, Message, message, sentences, text
from ravada_web.messages.foreign import printable
from ravada_web.models import Alert, Operation, User
from ravada_web.services.batches import grouped
from ravada_web.services.lots import write_lot
from ravada_web.services.monitoring import channels
from ravada_web.services.monitoring.alerts import RANK
from ravada_web.services.operations import outbox
from ravada_web.services.operations.execution import Handle
from ravada_web.services.operations.requests import request
from ravada_web.services.permissions import rights
from ravada_web.services.transaction import transaction

log = structlog.get_logger()
# A channel that failed is tried again after this many seconds.
RETRY_SECONDS = 30
# So long it is kept beside the rows what was sent of an alert whose row could not take it.
TOLD_SECONDS = 86_400
# Trouble that follows on another within so many seconds goes into one message, but waits no longer than that.
GATHER_SECONDS, GATHER_MOST_SECONDS = 3.0, 10.0
# So many nodes to which the same happened are told of in one line.
MANY = 3
# One worker at a time sends to a channel; longer than the job may take.
TELLING_SECONDS = 120
UNTOLD = select(Alert).where(Alert.untold).options(joinedload(Alert.node), joinedload(Alert.pool)).order_by(Alert.id)
UNKNOWN = ("", 0)


@dataclass(frozen=True)
class News:
    """What one channel is sent about one alert: plain values, so that no row is held while the channel is slow.

    Nodes of the same `group` ((state, how they are away)) are told of together, by their names; () has none.
    """

    alert_id: int
    since: datetime
    group: tuple[str, ...]
    name: str
    what_now: Message
    before: tuple[str, int]
    now: tuple[str, int]
    subject: Message
    line: Message

    @property
    def bad(self) -> bool:
        """Whether it is about trouble."""
        return self.now[0] != ""


def is_due() -> bool:
    """Whether there is anything to send now; cheap, called at every tick."""
    names = channels.configured(settings())
    news = [item for name in names for item in _lot(name)]
    return bool(news) and not _gathering([item.since for item in news if item.bad])


def _gathering(begun: Collection[datetime]) -> bool:
    """Whether more trouble may follow within a moment of what has begun then."""
    recent = any(is_recent(since, timedelta(seconds=GATHER_SECONDS)) for since in begun)
    return recent and all(is_recent(since, timedelta(seconds=GATHER_MOST_SECONDS)) for since in begun)


def _is_news(alert: Alert, before: tuple[str, int]) -> bool:
    """Whether a channel that was told `before` is to hear of the alert's state now."""
    lasting = not is_recent(alert.since, timedelta(seconds=settings().alert_settle))
    return RANK.get(alert.state, 0) > RANK.get(before[0], 0) or (alert.state != before[0] and lasting)


def send_due() -> None:
    """Send what is due, each channel by itself; a channel that fails is tried again later, the others are not."""
    configured = channels.configured(settings())
    for name, send in configured.items():
        lock = queues.redis.lock(f"ravada:alerts:telling:{name}", timeout=TELLING_SECONDS)
        if queues.redis.exists(_pause(name)) or not lock.acquire(blocking=False):
            continue
        try:
            with guarded(partial(channels.remember, name), channel=name):
                _send_news(name, send)
        finally:
            with suppress(LockError):
                lock.release()
    _close(configured)


def _send_news(name: str, send: channels.Send) -> None:
    """Send, and only then write that it is known: after a worker was killed in between it is sent again."""
    lot = _lot(name)
    db.session.rollback()
    if not lot:
        return
    if _sent(name, send, _subject(lot), _lines(lot)):
        queues.redis.set(_pause(name), 1, ex=RETRY_SECONDS)
        return
    known = {item.alert_id: item.now for item in lot}

    def write(session: Session, ids: Sequence[int]) -> None:
        alerts = select(Alert).where(Alert.id.in_(ids)).order_by(Alert.id).with_for_update()
        for alert in session.scalars(alerts):
            alert.told = {**alert.told, name: known[alert.id]}

    refused: list[int] = []
    write_lot(sorted(known), write, lambda alert_id, _why: refused.append(alert_id))
    _keep_beside(name, known, refused)


def _keep_beside(channel: str, told: Mapping[int, tuple[str, int]], refused: Collection[int]) -> None:
    """Keep in Redis what a channel was told of alerts whose rows take nothing: it is not to be sent again and again."""
    key = _told_key(channel)
    queues.redis.hdel(key, *map(str, told))
    if refused:
        queues.redis.hset(key, mapping={str(alert_id): json.dumps(told[alert_id]) for alert_id in refused})
        queues.redis.expire(key, TOLD_SECONDS)


def _told_key(channel: str) -> str:
    return f"ravada:alerts:told:{channel}"


def _lot(channel: str) -> list[News]:
    """What the channel is to hear now; an alert of which it cannot be said has no part in it."""
    lot: list[News] = []
    beside = queues.redis.hgetall(_told_key(channel))
    for alert in db.session.scalars(UNTOLD):
        with guarded(_left_out, alert=alert.id):
            before = _before(alert, channel, beside.get(str(alert.id).encode(), b""))
            if _is_news(alert, before):
                lot.append(_news(alert, before))
    return lot


def _before(alert: Alert, channel: str, kept: bytes | str) -> tuple[str, int]:
    """What the channel was told of it last; whatever else may be kept in Redis is passed over."""
    with suppress(ValueError, TypeError):
        state, changes = json.loads(kept)
        if isinstance(state, str) and isinstance(changes, int):
            return state, changes
    return alert.told.get(channel, UNKNOWN)


def _left_out(_reason: Message) -> None:
    """`_close` forgets what is kept of it and cannot be read, so that it is sent the next time."""


def request_test(actor: User) -> Operation:
    """Request a test message from every channel. Raises Conflict where none is set up."""
    rights.require(actor, "nodes.change")
    if not channels.configured(settings()):
        raise Conflict(message("alerts.no_channel"))
    outbox.require_queue()
    with transaction() as session:
        return request(session, "alert_test", message("alerts.send_test"), actor=actor)


def send_test(_handle: Handle) -> None:
    """The job's part. Raises Conflict with what each channel said that did not take it."""
    refused = []
    for name, send in channels.configured(settings()).items():
        if error := _sent(name, send, message("alerts.test"), [message("alerts.test_line")]):
            refused.append(message("alerts.channel_failed", channel=name, why=error))
    if refused:
        raise Conflict(message("alerts.test_failed", channels_clauses=refused))


def _sent(name: str, send: channels.Send, subject: Message, lines: Sequence[Message]) -> Message:
    """Send, and keep how it went; returns what was wrong, an empty message where it was taken."""
    error = NOTHING
    try:
        send(subject, lines)
    except channels.ChannelFailed as raised:
        error = raised.message
    except (OSError, HTTPException) as raised:
        error = text(printable(str(raised)) or type(raised).__name__)
    if error:
        log.warning("alert not sent", channel=name, error=error.to_json())
    channels.remember(name, error)
    return error


def _pause(name: str) -> str:
    return f"ravada:alerts:pause:{name}"


def _close(names: Collection[str]) -> None:
    """Alerts that every channel has sent are no longer pending."""

    def write(session: Session, ids: Sequence[int]) -> None:
        for alert in session.scalars(UNTOLD.where(Alert.id.in_(ids)).with_for_update(of=Alert)):
            with guarded(partial(_forget, alert), alert=alert.id):
                alert.untold = any(alert.told.get(name, UNKNOWN)[0] != alert.state for name in names)

    db.session.rollback()
    untold = db.session.scalars(select(Alert.id).where(Alert.untold).order_by(Alert.id)).all()
    write_lot(untold, write, lambda _alert_id, _why: None)  # one whose row takes nothing stays as it is


def _forget(alert: Alert, _reason: Message) -> None:
    """Forget what is kept of an alert and cannot be read."""
    alert.told = {}


def _news(alert: Alert, before: tuple[str, int]) -> News:
    node, place = alert.node, message("alerts.cluster")
    if node is not None:
        place = message("alerts.node", node=node.name)
        if alert.pool is not None:
            place = message("alerts.pool", pool=alert.pool.name, node=node.name)
    subject = message("alerts.subject", place=place, state=_state(alert.state))
    if alert.state:
        line = message("alerts.began", place=place, state=_state(alert.state), since_at=alert.since, why=alert.text)
    else:
        line = message("alerts.recovered", place=place, since_at=alert.since, before=_state(before[0]))
    if (changes := alert.changes - before[1]) > 1:
        line = sentences(line, message("alerts.flapped", count=changes))
    together = node is not None and alert.pool is None and changes <= 1 and (not before[0] or not alert.state)
    name, away, what_now = (node.name, node.away, node.what_now) if node is not None else ("", "", NOTHING)
    group = (alert.state, away, before[0]) if together else ()
    now = (alert.state, alert.changes)
    return News(alert.id, alert.since, group, name, what_now, before, now, subject, line)


def _lines(lot: Sequence[News]) -> list[Message]:
    """What is said of the lot: nodes to which the same happened in one line that names them all."""
    lines: list[Message] = []
    for group, alike in grouped(lot, lambda item: item.group).items():
        if len(alike) < MANY or not group:
            lines += [item.line for item in alike]
            continue
        names, first = [item.name for item in alike], min(item.since for item in alike)
        if group[0]:
            began = message("alerts.many_began", nodes=names, state=_state(group[0]), since_at=first)
            lines.append(sentences(began, alike[0].what_now))
        else:
            lines.append(message("alerts.many_recovered", nodes=names, before=_state(group[2])))
    return lines


def _state(state: str) -> Message:
    return message(f"alerts.state_{state or 'recovered'}")


def _subject(lot: Sequence[News]) -> Message:
    if len(lot) == 1:
        return lot[0].subject
    bad = sum(1 for item in lot if item.bad)
    return message("alerts.subject_many", bad=bad, recovered=len(lot) - bad)
