"""Telling administrators of trouble: when a message is due, what it says, and that each channel is told once.

A worsening is told at once. What got better is told once it has been so for `alert_settle`: a node that flaps is one
message, and one more when it has settled. All that is due goes into one message. Each channel has its own account of
what it was told: one that was away hears how things are now, and no other hears anything twice.
"""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from http.client import HTTPException

import structlog
from flask_babel import gettext as _
from redis.exceptions import LockError
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from ravada_web.config import settings
from ravada_web.errors import Conflict
from ravada_web.extensions import db, queues
from ravada_web.models import Alert, Operation, User
from ravada_web.models import now as this_moment
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
# Of several workers one tells a channel; longer than the job may take.
TELLING_SECONDS = 120
UNTOLD = (
    select(Alert)
    .where(Alert.untold)
    .options(joinedload(Alert.node, innerjoin=True), joinedload(Alert.pool))
    .order_by(Alert.id)
)
UNKNOWN = ("", 0)


@dataclass(frozen=True)
class News:
    """What one channel is told of one alert: plain values, so that no row is held while the channel is slow."""

    alert_id: int
    before: tuple[str, int]
    now: tuple[str, int]
    line: str

    @property
    def bad(self) -> bool:
        """Whether it tells of trouble."""
        return self.now[0] != ""


def is_due() -> bool:
    """Whether there is anything to tell now; cheap, asked at every tick."""
    wanted = channels.configured(settings())
    return bool(wanted) and any(_is_news(alert, name) for alert in db.session.scalars(UNTOLD) for name in wanted)


def _is_news(alert: Alert, channel: str) -> bool:
    """Whether the channel is to hear of the alert's state now."""
    before = alert.told.get(channel, UNKNOWN)[0]
    settled = alert.since <= this_moment() - timedelta(seconds=settings().alert_settle)
    return RANK.get(alert.state, 0) > RANK.get(before, 0) or (alert.state != before and settled)


def send_due() -> None:
    """Tell what is due, each channel by itself; a channel that fails is tried again later, the others are not."""
    wanted = channels.configured(settings())
    for name, send in wanted.items():
        lock = queues.redis.lock(f"ravada:alerts:telling:{name}", timeout=TELLING_SECONDS)
        if queues.redis.exists(_pause(name)) or not lock.acquire(blocking=False):
            continue
        try:
            _tell_by(name, send)
        finally:
            with suppress(LockError):
                lock.release()
    _close(wanted)


def _tell_by(name: str, send: channels.Send) -> None:
    """Send, and only then write that it is known: after a worker that was killed in between it is told once more."""
    lot = [_news(alert, alert.told.get(name, UNKNOWN)) for alert in db.session.scalars(UNTOLD) if _is_news(alert, name)]
    db.session.rollback()
    if not lot:
        return
    if _sent(name, send, _subject(lot), [item.line for item in lot]):
        queues.redis.set(_pause(name), 1, ex=RETRY_SECONDS)
        return
    known = {item.alert_id: item.now for item in lot}
    with transaction() as session:
        found = select(Alert).where(Alert.id.in_(known)).order_by(Alert.id).with_for_update()
        for alert in session.scalars(found):
            alert.told = {**alert.told, name: known[alert.id]}


def request_test(actor: User) -> Operation:
    """Ask for a message to be sent by every channel now. Raises Conflict where none is set up."""
    rights.require(actor, "nodes.change")
    if not channels.configured(settings()):
        raise Conflict(_("No channel is set up: set RAVADA_MAIL_TO and RAVADA_SMTP_HOST, or RAVADA_ALERT_WEBHOOK_URL."))
    outbox.require_queue()
    with transaction() as session:
        return request(session, "alert_test", _("Send a test message to administrators"), actor=actor)


def send_test(_handle: Handle) -> None:
    """The job's part. Raises Conflict with what each channel said that did not take it."""
    refused = []
    for name, send in channels.configured(settings()).items():
        if error := _sent(name, send, _("Test message"), [_("This is how trouble with nodes will be told.")]):
            refused.append(f"{name}: {error}")
    if refused:
        raise Conflict("; ".join(refused))


def _sent(name: str, send: channels.Send, subject: str, lines: Sequence[str]) -> str:
    """Send, and keep how it went; returns what was wrong, "" where it was taken."""
    error = ""
    try:
        send(subject, lines)
    except (OSError, HTTPException, channels.ChannelFailed) as raised:
        error = str(raised) or type(raised).__name__
        log.warning("alert not sent", channel=name, error=error)
    channels.remember(name, error)
    return error


def _pause(name: str) -> str:
    return f"ravada:alerts:pause:{name}"


def _close(names: Collection[str]) -> None:
    """What every channel knows needs no more looks."""
    with transaction() as session:
        for alert in session.scalars(UNTOLD.with_for_update(of=Alert)):
            alert.untold = any(alert.told.get(name, UNKNOWN)[0] != alert.state for name in names)


def _news(alert: Alert, before: tuple[str, int]) -> News:
    what = _("Node %(node)s", node=alert.node.name)
    if alert.pool is not None:
        what = _("Pool %(pool)s of node %(node)s", pool=alert.pool.name, node=alert.node.name)
    since = alert.since.strftime("%Y-%m-%d %H:%M:%S UTC")
    if alert.state:
        line = _(
            "%(what)s is %(state)s since %(since)s. %(why)s", what=what, state=alert.state, since=since, why=alert.text
        )
    else:
        line = _("%(what)s is well again since %(since)s; it was %(before)s.", what=what, since=since, before=before[0])
    if (changes := alert.changes - before[1]) > 1:
        line += " " + _("It changed %(count)s times meanwhile.", count=changes)
    return News(alert.id, before, (alert.state, alert.changes), line)


def _subject(lot: Sequence[News]) -> str:
    bad = sum(1 for item in lot if item.bad)
    if len(lot) == 1:
        return lot[0].line.partition(". ")[0]
    return _("%(bad)s in trouble, %(well)s well again", bad=bad, well=len(lot) - bad)
