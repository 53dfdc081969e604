"""A node's service state: enabled, disabled, or in maintenance."""

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from ravada_web.errors import Conflict, InvalidInput
from ravada_web.messages import NOTHING, Message, message
from ravada_web.models import Clone, CloneState, Node, ServiceState, User, now
from ravada_web.services.audit import events
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.joining import inspection
from ravada_web.services.lifecycle.held import held
from ravada_web.services.operations import outbox
from ravada_web.services.permissions import rights
from ravada_web.services.transaction import transaction

LONGEST_WHY = 200
# What is planned for longer than a quarter of a year is no maintenance.
MOST_HOURS = 2160
ON = (CloneState.RUNNING, CloneState.PAUSED)


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
        row = _kept_node(session, node)
        if state == ServiceState.ENABLED:
            _require_enablable(row, unverified)
        row.service_state, row.serves_as = state, ""
        row.end_maintenance()
        if state == ServiceState.ENABLED:
            events.record(session, actor, "enable" if row.proved_at else "enable_unproved", row)
            return
        events.record(session, actor, "disable", row)
        if shut_down:
            shut_down_all(session, actor, row)


def begin_maintenance(
    actor: User, node: Node, why: str = "", hours: int | None = None, *, shut_down: bool = False
) -> None:
    """Take a node into maintenance, for `hours` as planned (None: until it is enabled again): it gets no new clone and
    no start, and raises no alerts unless it takes longer. `shut_down` as when it is disabled. One that is in
    maintenance already has this reason and plan from now on.

    Raises InvalidInput with a reason for each field, and Conflict for a node that is not in service yet or given up.
    """
    rights.require(actor, "nodes.change")
    why = why.strip()
    wrong: dict[str, Message] = {}
    if len(why) > LONGEST_WHY:
        wrong["why"] = message("nodes.notes_too_long", most=LONGEST_WHY)
    if hours is not None and not 1 <= hours <= MOST_HOURS:
        wrong["hours"] = message("nodes.optional_range", least=1, most=MOST_HOURS)
    if wrong:
        raise InvalidInput(wrong)
    outbox.require_queue()
    with transaction() as session:
        row = _kept_node(session, node)
        keep_in_maintenance(session, actor, row, why, hours)
        if shut_down:
            shut_down_all(session, actor, row)


def keep_in_maintenance(session: Session, actor: User, node: Node, why: str, hours: int | None = None) -> None:
    """Write it, in the present transaction, of a node that is held. Raises Conflict for one that is not in service."""
    if node.service_state == ServiceState.NEW:
        raise Conflict(message("nodes.maintenance_new", node=node.name))
    if node.service_state != ServiceState.MAINTENANCE or node.maintenance_since is None:
        node.maintenance_since = now()
    node.service_state = ServiceState.MAINTENANCE
    node.maintenance_by, node.maintenance_why = actor.name, why
    node.maintenance_until = None if hours is None else now() + timedelta(hours=hours)
    events.record(session, actor, "maintenance", node, why or NOTHING)


def enable_again(session: Session, node: Node, why: Message) -> None:
    """Enable, in the present transaction, a node that is held and has done what it was in maintenance for."""
    node.service_state = ServiceState.ENABLED
    node.end_maintenance()
    events.record(session, None, "enable", node, why)


def shut_down_all(session: Session, actor: User, node: Node) -> list[int]:
    """Ask, in the present transaction, all that runs there to shut down; returns the clones' ids."""
    ids = session.scalars(select(Clone.id).where(Clone.node_id == node.id, Clone.state.in_(ON))).all()
    if ids:
        clone_actions.shut_down(actor, ids)
    return list(ids)


def _kept_node(session: Session, node: Node) -> Node:
    row = held(session, node.id)
    if row.is_given_up:
        raise Conflict(message("nodes.given_up_already", node=row.name))
    return row


def _require_enablable(node: Node, unverified: bool) -> None:
    inspection.require_own_host(node)
    if not node.allows_root:
        raise Conflict(message("nodes.no_root", node=node.name))
    if node.proved_at is None and not unverified:
        raise Conflict(message("nodes.not_tested", node=node.name))
