"""A node's row, held while its service state or its being off is changed."""

from sqlalchemy.orm import Session

from ravada_web.errors import NotFound
from ravada_web.messages import message
from ravada_web.models import Node


def held(session: Session, node_id: int) -> Node:
    """The row as it stands now, locked: a check may write it, or another administrator, at the same time. Raises
    NotFound."""
    row = session.get(Node, node_id, with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound(message("nodes.no_such"))
    return row
