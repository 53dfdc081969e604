"""Enabling and disabling a node."""

from sqlalchemy import select

from ravada_web.errors import Conflict, InvalidInput
from ravada_web.messages import message
from ravada_web.models import Clone, CloneState, Node, ServiceState, User
from ravada_web.services.audit import events
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.joining import inspection
from ravada_web.services.operations import outbox
from ravada_web.services.permissions import rights
from ravada_web.services.transaction import transaction


def set_service_state(
    actor: User, node: Node, state: str, *, shut_down: bool = False, unverified: bool = False
) -> None:
    """Enable or disable a node. Disabled, it gets no new clone and no start; what runs there is left, or, with
    `shut_down`, asked to shut down.

    A node that never passed its test is enabled only with `unverified`, which the audit log records. Raises
    InvalidInput, and Conflict for a node that cannot be enabled.
    """
    rights.require(actor, "nodes.change")
    if state not in (ServiceState.ENABLED, ServiceState.DISABLED):
        raise InvalidInput({"wanted": message("nodes.enabled_or_disabled")})
    outbox.require_queue()
    with transaction() as session:
        if session.get_one(Node, node.id, with_for_update=True).is_given_up:
            raise Conflict(message("nodes.given_up_already", node=node.name))
        if state == ServiceState.ENABLED:
            _require_enablable(node, unverified)
        node.service_state = state
        if state == ServiceState.ENABLED:
            events.record(session, actor, "enable" if node.proved_at else "enable_unproved", node)
            return
        events.record(session, actor, "disable", node)
        if shut_down:
            on = (CloneState.RUNNING, CloneState.PAUSED)
            if ids := session.scalars(select(Clone.id).where(Clone.node_id == node.id, Clone.state.in_(on))).all():
                clone_actions.shut_down(actor, ids)


def _require_enablable(node: Node, unverified: bool) -> None:
    inspection.require_own_host(node)
    if not node.allows_root:
        raise Conflict(message("nodes.no_root", node=node.name))
    if node.proved_at is None and not unverified:
        raise Conflict(message("nodes.not_tested", node=node.name))
