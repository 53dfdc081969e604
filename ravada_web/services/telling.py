"""Telling administrators of trouble: when a message is due, what it says, and that each channel is told once.

A worsening is told at once. What got better is told once it has been so for `alert_settle`: a node that flaps is one
message, and one more when it has settled. All that is due goes into one message.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from flask_babel import gettext as _
from sqlalchemy import select, update
from sqlalchemy.orm import joinedload

from ravada_web.extensions import db, queues
from ravada_web.models import Alert
from ravada_web.models import now as this_moment
from ravada_web.services import channels
from ravada_web.services.alerts import RANK
from ravada_web.services.operations import settings
from ravada_web.services.transaction import transaction

log = structlog.get_logger()
# A channel that failed is tried again after this many seconds.
RETRY_SECONDS = 30


@dataclass(frozen=True)
class News:
    """One alert as it is told: plain values, so that no row is held while a channel is slow."""

    alert_id: int
    told: str
    state: str
    line: str
    sent: tuple[str, ...]


def is_due() -> bool:
    """Whether there is anything to tell now; cheap, asked at every tick."""
    return bool(_due())


def _due() -> Sequence[Alert]:
    changed = select(Alert).where(Alert.state != Alert.told).options(joinedload(Alert.node), joinedload(Alert.pool))
    settled = this_moment() - timedelta(seconds=settings().alert_settle)
    return [
        alert
        for alert in db.session.scalars(changed)
        if RANK.get(alert.state, 0) > RANK.get(alert.told, 0) or alert.since <= settled
    ]


def tell() -> None:
    """Tell what is due, each channel by itself; a channel that fails is tried again later, the others are not."""
    news = [_news(alert) for alert in _due()]
    db.session.rollback()
    if not news:
        return
    wanted = channels.configured(settings())
    open_ids = {item.alert_id for item in news}
    for name, send in wanted.items():
        lot = [item for item in news if name not in item.sent]
        if not lot or queues.redis.exists(_pause(name)):
            open_ids &= {item.alert_id for item in news if name in item.sent}
            continue
        if not _claim(name, lot):
            return  # another worker tells it
        try:
            send(_subject(lot), [item.line for item in lot])
            channels.remember(name, "")
        except (OSError, channels.ChannelFailed) as error:
            log.warning("alert not sent", channel=name, error=str(error))
            channels.remember(name, str(error))
            queues.redis.set(_pause(name), 1, ex=RETRY_SECONDS)
            _unclaim(name, lot)
            open_ids -= {item.alert_id for item in lot}
    _close([item for item in news if item.alert_id in open_ids])


def _pause(name: str) -> str:
    return f"ravada:alerts:pause:{name}"


def _claim(name: str, lot: Sequence[News]) -> bool:
    """Write that the channel takes these, before it does: of two workers one wins by the rows' locks."""
    with transaction() as session:
        rows = session.scalars(select(Alert).where(Alert.id.in_([item.alert_id for item in lot])).with_for_update())
        for row in rows:
            if name in row.sent:
                return False
            row.sent = [*row.sent, name]
    return True


def _unclaim(name: str, lot: Sequence[News]) -> None:
    with transaction() as session:
        for row in session.scalars(select(Alert).where(Alert.id.in_([item.alert_id for item in lot]))):
            row.sent = [kept for kept in row.sent if kept != name]


def _close(told: Sequence[News]) -> None:
    """What every channel took is told; where the state has changed since, it is due anew."""
    with transaction() as session:
        for item in told:
            values = {"told": item.state, "told_at": this_moment(), "sent": [], "changes": 0}
            session.execute(update(Alert).where(Alert.id == item.alert_id, Alert.told == item.told).values(values))


def _news(alert: Alert) -> News:
    what = _("Node %(node)s", node=alert.node.name)
    if alert.pool is not None:
        what = _("Pool %(pool)s of node %(node)s", pool=alert.pool.name, node=alert.node.name)
    since = alert.since.strftime("%Y-%m-%d %H:%M:%S UTC")
    if alert.state:
        line = _(
            "%(what)s is %(state)s since %(since)s. %(why)s", what=what, state=alert.state, since=since, why=alert.text
        )
    else:
        line = _("%(what)s is well again since %(since)s; it was %(told)s.", what=what, since=since, told=alert.told)
    if alert.changes > 1:
        line += " " + _("It changed %(count)s times meanwhile.", count=alert.changes)
    return News(alert.id, alert.told, alert.state, line, tuple(alert.sent))


def _subject(lot: Sequence[News]) -> str:
    bad = sum(1 for item in lot if item.state)
    if len(lot) == 1:
        return lot[0].line.partition(". ")[0]
    return _("%(bad)s in trouble, %(well)s well again", bad=bad, well=len(lot) - bad)
