"""Operator scopes: give an operator some bases and nodes, or everything."""

from collections.abc import Collection

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from ravada_web.errors import Conflict, InvalidInput
from ravada_web.models import Base, Node, OperatorScope, Role, User
from ravada_web.services.audit import events
from ravada_web.services.permissions import rights
from ravada_web.services.permissions.scopes import Scope
from ravada_web.services.transaction import transaction


def give_scope(actor: User, operator: User, node_ids: Collection[int], base_ids: Collection[int]) -> None:
    """Give an operator exactly these nodes and bases. Raises Conflict for who is no operator, InvalidInput for
    what does not exist, and where there is none."""
    rights.require(actor, "users.change")
    with transaction() as session:
        _require_operator(operator)
        chosen = Scope(frozenset(node_ids), frozenset(base_ids))
        _check(session, chosen)
        session.execute(delete(OperatorScope).where(OperatorScope.user_id == operator.id))
        # A row of neither stays when the last base or node given is removed: who was given a part never gets all.
        session.add(OperatorScope(user_id=operator.id))
        session.add_all(OperatorScope(user_id=operator.id, node_id=node_id) for node_id in chosen.node_ids)
        session.add_all(OperatorScope(user_id=operator.id, base_id=base_id) for base_id in chosen.base_ids)
        events.record(session, actor, "give_part", operator, _in_words(chosen))


def give_everything(actor: User, operator: User) -> None:
    """Give an operator all bases and nodes, those to come too. Raises Conflict for who is no operator."""
    rights.require(actor, "users.change")
    with transaction() as session:
        _require_operator(operator)
        session.execute(delete(OperatorScope).where(OperatorScope.user_id == operator.id))
        events.record(session, actor, "give_part", operator, _("everything"))


def _require_operator(operator: User) -> None:
    if operator.role != Role.OPERATOR:
        raise Conflict(_("%(name)s is not an operator: only those are given a part.", name=operator.name))


def _check(session: Session, chosen: Scope) -> None:
    wrong = {}
    if set(session.scalars(select(Node.id).where(Node.id.in_(chosen.node_ids)))) != chosen.node_ids:
        wrong["nodes"] = _("One of these nodes does not exist any more; load the page again.")
    if set(session.scalars(select(Base.id).where(Base.id.in_(chosen.base_ids)))) != chosen.base_ids:
        wrong["bases"] = _("One of these bases does not exist any more; load the page again.")
    if not chosen.node_ids and not chosen.base_ids:
        wrong["part"] = _("Tick at least one base or node, or choose everything.")
    if wrong:
        raise InvalidInput(wrong)


def _in_words(chosen: Scope) -> str:
    count_bases, count_nodes = len(chosen.base_ids), len(chosen.node_ids)
    what = [ngettext("%(num)s base", "%(num)s bases", count_bases)] if count_bases else []
    if count_nodes:
        what.append(ngettext("%(num)s node", "%(num)s nodes", count_nodes))
    return ", ".join(what)
