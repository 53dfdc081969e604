"""The alert of the cluster: where room is to be kept for the loss of one node, that there is too little."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from ravada_web.extensions import db
from ravada_web.messages import NOTHING
from ravada_web.models import Alert, Cluster, now
from ravada_web.services.monitoring import alerts
from ravada_web.services.monitoring.alerts import Trouble
from ravada_web.services.placements import reserve
from ravada_web.services.transaction import hold_lock, transaction


def update() -> None:
    """Begin, change and end it; nothing is written where it is as before."""
    if _kept(db.session()) == _trouble(db.session()):
        return
    with transaction() as session:
        # One after the other, so that none begins an alert beside another's.
        hold_lock(session, "placement")
        alert = session.scalar(select(Alert).where(Alert.node_id.is_(None)).with_for_update())
        alerts.change(session, alert, (None, None), _trouble(session), now())


def _kept(session: Session) -> Trouble:
    alert = session.scalar(select(Alert).where(Alert.node_id.is_(None), Alert.state != ""))
    return (alert.state, alert.text) if alert else ("", NOTHING)


def _trouble(session: Session) -> Trouble:
    row = session.get_one(Cluster, reserve.ONLY, populate_existing=True)
    return ("short", row.reserve_news) if row.keeps_reserve and row.missing_mib else ("", NOTHING)
