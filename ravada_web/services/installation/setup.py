"""The master node where it is this very host: its row is made at setup, without SSH."""

from sqlalchemy import select

from ravada_web.config import settings
from ravada_web.messages import message
from ravada_web.models import Node
from ravada_web.services.audit import events
from ravada_web.services.transaction import transaction


def ensure_local_master(host_name: str) -> None:
    """Make this host's row, if the settings say it is the master and there is none yet; checks fill it in."""
    if settings().master != "local":
        return
    with transaction() as session:
        if session.scalar(select(Node.id).where(Node.is_master)) is None:
            node = Node(name=host_name, address="localhost", local=True, is_master=True)
            session.add(node)
            events.record(session, None, "join", node, message("nodes.this_host"))
