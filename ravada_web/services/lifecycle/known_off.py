"""A node that is known to be off: by an administrator's word, or since it was fenced. It ends when the node answers."""

from sqlalchemy.orm import Session

from ravada_web.errors import Conflict, InvalidInput
from ravada_web.messages import Message, message
from ravada_web.models import Away, Node, Observed, User, now
from ravada_web.services.audit import events
from ravada_web.services.clones import absence
from ravada_web.services.lifecycle.held import held
from ravada_web.services.permissions import rights
from ravada_web.services.transaction import transaction


def say(actor: User, node: Node, typed: str) -> None:
    """Vouch that the node is off; `typed` is its name, as the person typed it.

    Raises InvalidInput for another name, and Conflict unless it is down and nothing answers at its address.
    """
    rights.require(actor, "nodes.change")
    if typed.strip() != node.name:
        raise InvalidInput({"typed": message("nodes.type_name", node=node.name)})
    with transaction() as session:
        row = held(session, node.id)
        require_silent(row)
        _keep(session, row, message("nodes.vouched", name=actor.name))
        events.record(session, actor, "known_off", row)


def require_silent(node: Node) -> None:
    """Raise Conflict for a node that is not down, or answers at its address: it is not off, whatever anybody says."""
    if node.observed != Observed.DOWN:
        raise Conflict(message("nodes.off_not_down", node=node.name))
    if node.away == Away.REFUSES:
        raise Conflict(message("nodes.off_answers", node=node.name))


def record(session: Session, node: Node, by: Message) -> None:
    """Keep, in the present transaction, that the node is off: it was fenced. `by` says how, as words after "off"."""
    row = held(session, node.id)
    _keep(session, row, by)
    events.record(session, None, "known_off", row, by)


def use(session: Session, node: Node) -> None:
    """Build on it, in the present transaction: from now on it cannot be taken back. Raises Conflict where the node is
    not known to be off."""
    row = held(session, node.id)
    if not row.is_known_off:
        raise Conflict(message("nodes.off_not_known", node=row.name))
    row.known_off_used = True


def take_back(actor: User, node: Node) -> None:
    """Know no longer that the node is off. Raises Conflict once something was built on it."""
    rights.require(actor, "nodes.change")
    with transaction() as session:
        row = held(session, node.id)
        if not row.is_known_off:
            raise Conflict(message("nodes.off_not_known", node=row.name))
        if row.known_off_used:
            raise Conflict(message("nodes.off_used", node=row.name))
        row.forget_off()
        if row.seen == Observed.DOWN:
            row.away = Away.SILENT
            absence.tell(session, row)
        else:
            row.away = Away.NONE
        events.record(session, actor, "known_off_taken_back", row)


def _keep(session: Session, node: Node, by: Message) -> None:
    node.away = Away.OFF
    # What a round of checks saw that began before is older than this.
    node.known_off_at, node.known_off_by, node.known_off_round = now(), by, node.rounds_begun
    node.known_off_used = False
    absence.tell(session, node)
