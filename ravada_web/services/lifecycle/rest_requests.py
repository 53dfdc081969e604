"""What people decide of resting nodes: whether the schedule is followed at all, and of one node for themselves."""

from sqlalchemy.orm import Session

from ravada_web.errors import Conflict
from ravada_web.messages import NOTHING, Message, message
from ravada_web.models import Cluster, Node, RestStep, ServiceState, User
from ravada_web.services.audit import events
from ravada_web.services.lifecycle import rest_vetoes, rest_work, resting
from ravada_web.services.lifecycle.held import held
from ravada_web.services.operations import outbox
from ravada_web.services.permissions import rights
from ravada_web.services.placements import reserve
from ravada_web.services.transaction import hold_lock, transaction


def switch(actor: User, on: bool) -> None:
    """Have nodes rest by the schedule from now on, in the actor's name; or no more: then those that rest are woken.
    Raises NotAllowed."""
    rights.require(actor, "nodes.change")
    with transaction() as session:
        row = session.get_one(Cluster, reserve.ONLY, with_for_update=True, populate_existing=True)
        row.rest_user_id, row.rest_looks, row.lack_at = (actor.id if on else None), 0, None
        events.record(session, actor, "rest_on" if on else "rest_off", row)


def rest_now(actor: User, node_id: int) -> None:
    """Put a node to rest without waiting for the schedule, which wakes it. Raises NotAllowed, NotFound, and Conflict
    where the schedule is not followed, would wake it at once, or something speaks against it."""
    rights.require(actor, "nodes.change")
    outbox.require_queue()
    with transaction() as session:
        hold_lock(session, "placement")
        node = held(session, node_id)
        node.rest_held = NOTHING  # a person has looked
        if why := _refusal(session, actor, node):
            raise Conflict(why)
        rest_work.begin(session, actor, node, message("resting.asked_for", name=actor.name), actor)


def _refusal(session: Session, actor: User, node: Node) -> Message:
    if resting.person(session) is None:
        return message("resting.not_on")
    seen = resting.survey(session)
    if any(other.rest_step not in (RestStep.NONE, RestStep.RESTING) for other in seen.nodes):
        return message("resting.one_at_a_time")
    if node.service_state != ServiceState.ENABLED:
        return message("resting.not_in_service")
    if not node.may_rest:
        return message("resting.rest_not_chosen")
    if why := resting.why_not(session, [node]).get(node.id):
        return why
    if reason := seen.woken_for(node.id):
        return message("resting.would_be_woken", why=resting.words(reason))
    return rest_vetoes.veto(session, actor, node, seen)


def keep_awake(actor: User, node_id: int) -> None:
    """Have the schedule leave a node alone until a person says otherwise; one that rests is woken. Raises NotAllowed
    and NotFound."""
    _decide(actor, node_id, message("resting.held_by", name=actor.name), "keep_awake")


def let_rest(actor: User, node_id: int) -> None:
    """Have the schedule decide on a node again that was left alone. Raises NotAllowed and NotFound."""
    _decide(actor, node_id, NOTHING, "let_rest")


def _decide(actor: User, node_id: int, held_for: Message, action: str) -> None:
    rights.require(actor, "nodes.change")
    with transaction() as session:
        node = held(session, node_id)
        node.rest_held = held_for
        events.record(session, actor, action, node)
