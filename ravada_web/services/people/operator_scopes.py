"""Operator scopes: some bases and nodes, or everything."""

from collections.abc import Collection

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from ravada_web.errors import Conflict, InvalidInput
from ravada_web.messages import Message, message
from ravada_web.models import Base, Node, OperatorScope, Role, User
from ravada_web.services.audit import events
from ravada_web.services.permissions import rights
from ravada_web.services.permissions.scopes import Scope
from ravada_web.services.transaction import transaction


def set_scope(actor: User, operator: User, node_ids: Collection[int], base_ids: Collection[int]) -> None:
    """Give an operator exactly these nodes and bases. Raises Conflict for one who is no operator, InvalidInput for
    what does not exist, and where there is none."""
    rights.require(actor, "users.change")
    with transaction() as session:
        _require_operator(operator)
        chosen = Scope(frozenset(node_ids), frozenset(base_ids))
        _check(session, chosen)
        session.execute(delete(OperatorScope).where(OperatorScope.user_id == operator.id))
        # A row of neither stays when the last base or node given is removed: a limited scope never becomes everything.
        session.add(OperatorScope(user_id=operator.id))
        session.add_all(OperatorScope(user_id=operator.id, node_id=node_id) for node_id in chosen.node_ids)
        session.add_all(OperatorScope(user_id=operator.id, base_id=base_id) for base_id in chosen.base_ids)
        events.record(session, actor, "give_part", operator, _described(chosen))


def clear_scope(actor: User, operator: User) -> None:
    """Give an operator all bases and nodes, those to come too. Raises Conflict for one who is no operator."""
    rights.require(actor, "users.change")
    with transaction() as session:
        _require_operator(operator)
        session.execute(delete(OperatorScope).where(OperatorScope.user_id == operator.id))
        events.record(session, actor, "give_part", operator, message("people.scope_everything"))


def _require_operator(operator: User) -> None:
    if operator.role != Role.OPERATOR:
        raise Conflict(message("people.not_an_operator", name=operator.name))


def _check(session: Session, chosen: Scope) -> None:
    wrong = {}
    if set(session.scalars(select(Node.id).where(Node.id.in_(chosen.node_ids)))) != chosen.node_ids:
        wrong["nodes"] = message("nodes.gone")
    if set(session.scalars(select(Base.id).where(Base.id.in_(chosen.base_ids)))) != chosen.base_ids:
        wrong["bases"] = message("bases.gone")
    if not chosen.node_ids and not chosen.base_ids:
        wrong["part"] = message("people.empty_scope")
    if wrong:
        raise InvalidInput(wrong)


def _described(chosen: Scope) -> Message:
    """The scope in numbers, for the audit log."""
    parts = []
    if chosen.base_ids:
        parts.append(message("people.scope_bases", count=len(chosen.base_ids)))
    if chosen.node_ids:
        parts.append(message("people.scope_nodes", count=len(chosen.node_ids)))
    return message("people.scope", parts=parts)
