"""What clones say of a node that is away: one statement for all of them, however many."""

from sqlalchemy import update
from sqlalchemy.orm import Session

from ravada_web.messages import Message, message
from ravada_web.models import Clone, CloneState, Node


def reason(node: Node) -> Message:
    """Why the clones of a node that is down cannot be reached."""
    return message(f"clones.away_{'shut_down' if node.is_shut_down else node.away}", node=node.name)


def tell(session: Session, node: Node) -> None:
    """Have the clones that are unreachable say how their node is away now."""
    lost = (Clone.node_id == node.id, Clone.state == CloneState.UNREACHABLE)
    session.execute(update(Clone).where(*lost).values(reason=reason(node)))
