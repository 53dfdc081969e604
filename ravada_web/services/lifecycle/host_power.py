"""Requests to shut a host down or restart it: its desktops first, by us, then the host (`host_power_work`)."""

from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from ravada_web.errors import Conflict, InvalidInput
from ravada_web.extensions import db
from ravada_web.messages import NOTHING, Message, message
from ravada_web.models import OVER, Node, Observed, Operation, ServiceState, User
from ravada_web.services.audit import events
from ravada_web.services.lifecycle.held import held
from ravada_web.services.lifecycle.service_state import keep_in_maintenance, shut_down_all
from ravada_web.services.operations import outbox
from ravada_web.services.operations.requests import request
from ravada_web.services.permissions import rights
from ravada_web.services.transaction import transaction

OFF, RESTART = "host_off", "host_restart"
# Among an operation's parameters: the schedule has asked for it (`rest_work`), and no person.
RESTS = "rests"
# What becomes of desktops that do not shut down in their time: the host stays on, or they lose their power.
LEAVE, FORCE = "leave", "force"


def request_power(actor: User, node: Node, kind: str, stubborn: str = LEAVE) -> Operation:
    """Request that the host is shut down (OFF) or restarted (RESTART): it is in maintenance from now on, and its
    desktops are asked to shut down. `stubborn` is LEAVE or FORCE. A maintenance that has begun before is as it was.

    Raises InvalidInput, and Conflict for this server, for a host that is not up, for a login that is not root there,
    and where one is under way.
    """
    rights.require(actor, "nodes.change")
    if stubborn not in (LEAVE, FORCE):
        raise InvalidInput({"choice": message("nodes.choose")})
    outbox.require_queue()
    with transaction() as session:
        row = held(session, node.id)
        require_possible(row)
        require_idle(session, row)
        before = row.service_state
        if before != ServiceState.MAINTENANCE:
            keep_in_maintenance(session, actor, row, "")
        events.record(session, actor, kind, row)
        asked = shut_down_all(session, actor, row)
        return _ask(session, actor, row, kind, {"stubborn": stubborn, "before": before, "asked": asked})


def rest(session: Session, actor: User, node: Node) -> Operation:
    """Have the host of a node that is held, is in maintenance and has no desktops shut down because it rests, in the
    present transaction. Raises Conflict as `request_power` does."""
    require_possible(node)
    require_idle(session, node)
    return _ask(session, actor, node, OFF, {"stubborn": LEAVE, "before": node.service_state, "asked": [], RESTS: True})


def _ask(session: Session, actor: User, node: Node, kind: str, params: dict[str, Any]) -> Operation:
    """Write the operation, in the present transaction."""
    title = message(f"nodes.title_{kind}", node=node.name)
    return request(session, kind, title, actor=actor, node=node, params=params | {"by": actor.name})


def require_idle(session: Session, node: Node) -> None:
    """Raise Conflict while the host is being shut down, restarted or woken."""
    if session.scalar(_open(node).limit(1)) is not None:
        raise Conflict(message("nodes.power_under_way", node=node.name))


def require_possible(node: Node) -> None:
    """Raise Conflict for a host that cannot be shut down or restarted from here now."""
    if refused := refusal(node):
        raise Conflict(refused)


def refusal(node: Node) -> Message:
    """Why the host cannot be shut down or restarted from here now; nothing where it can."""
    refused = NOTHING
    if node.is_given_up:
        refused = message("nodes.given_up_already", node=node.name)
    elif node.local:
        refused = message("nodes.power_this_server")
    elif node.service_state == ServiceState.NEW:
        refused = message("nodes.maintenance_new", node=node.name)
    elif node.service_state == ServiceState.DRAINING:
        refused = message("nodes.power_draining", node=node.name)
    elif node.observed != Observed.UP or not node.is_reachable:
        refused = message("nodes.power_not_up", node=node.name)
    elif not node.allows_root:
        refused = message("nodes.no_root", node=node.name)
    return refused


def under_way(node: Node) -> Operation | None:
    """The shutdown, restart or waking of the host that is under way."""
    return db.session.scalar(_open(node).limit(1))


def _open(node: Node) -> Select[Operation]:
    of_host = Operation.kind.startswith("host_")
    return select(Operation).where(Operation.node_id == node.id, of_host, Operation.state.not_in(OVER))
