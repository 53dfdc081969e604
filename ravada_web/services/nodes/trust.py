"""Trust in a node: quarantined by whatever meets another host key there, trusted again once its pinned key answers."""

from functools import partial

import structlog
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from ravada_web.errors import DatabaseBusy
from ravada_web.messages import Message, message
from ravada_web.models import Node, Trust, now
from ravada_web.remote import changed_keys
from ravada_web.remote.target import Target
from ravada_web.services.audit import events
from ravada_web.services.nodes import endpoints
from ravada_web.services.transaction import transaction

log = structlog.get_logger()


def listen(app: Flask) -> None:
    """Quarantine, from now on, each node that any connection of this process finds with another key."""
    changed_keys.listen(partial(_heard, app))


def _heard(app: Flask, target: Target, reason: Message) -> None:
    """Write it in a session of its own, whatever the caller is doing; what it cannot write, the next check will."""
    with app.app_context():
        try:
            quarantine(target, reason)
        except (SQLAlchemyError, DatabaseBusy) as error:
            log.warning("changed host key not written", node=target.node_id, error=str(error))


def quarantine(target: Target, reason: Message) -> None:
    """Send nothing more to this node; its link is closed by the links process.

    Nothing happens where its key, its address or its user was changed since that connection began.
    """
    with transaction() as session:
        node = session.get(Node, target.node_id)
        if node is None or node.trust == Trust.CHANGED or endpoints.target(node).route != target.route:
            return
        node.trust, node.reason, node.observed_at = Trust.CHANGED, reason, now()
        state = message("nodes.state_quarantined")
        events.record(session, None, "observed", node, message("nodes.state_because", state=state, why=reason))
