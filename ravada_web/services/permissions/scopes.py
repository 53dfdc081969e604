"""An operator's scope: everything, or some bases and nodes and what belongs to them.

With nodes N and bases B given, an operator knows of the clones of B and those on N, of the bases B and those
allowed on N, and of the nodes N and those that B is allowed on; of what is their own in any case. Of people they know
whose desktops are among these clones, and whom B is offered to, by name or as members of a group.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, Select, and_, exists, false, func, not_, or_, select, true

from ravada_web.extensions import db
from ravada_web.models import (
    AllowedNode,
    Base,
    BaseOffer,
    Clone,
    Group,
    GroupMember,
    Node,
    Operation,
    OperatorScope,
    Role,
    User,
)
from ravada_web.services.permissions import rights


@dataclass(frozen=True)
class Scope:
    """The ids of the nodes and bases that an operator is given; both are empty once the last of them is gone."""

    node_ids: frozenset[int]
    base_ids: frozenset[int]


def of(viewer: User) -> Scope | None:
    """The viewer's scope; None for everything, as for every administrator."""
    if viewer.role != Role.OPERATOR:
        return None
    query = select(OperatorScope.node_id, OperatorScope.base_id).where(OperatorScope.user_id == viewer.id)
    rows = db.session.execute(query).all()
    if not rows:
        return None
    return Scope(frozenset(row[0] for row in rows if row[0]), frozenset(row[1] for row in rows if row[1]))


def names(operator: User) -> tuple[Sequence[str], Sequence[str]] | None:
    """The names of the bases and nodes that an operator is given; None for everything."""
    scope = of(operator)
    if scope is None:
        return None
    bases_given = select(Base.name).where(Base.id.in_(scope.base_ids)).order_by(Base.name)
    nodes_given = select(Node.name).where(Node.id.in_(scope.node_ids)).order_by(Node.name)
    return db.session.scalars(bases_given).all(), db.session.scalars(nodes_given).all()


def clones(viewer: User, right: str) -> ColumnElement[bool]:
    """The clones on which the viewer has the right: their own, and with the right those in their scope."""
    own = Clone.owner_id == viewer.id
    if not rights.can(viewer, right):
        return own
    scope = of(viewer)
    return true() if scope is None else or_(own, _clones_in(scope))


def bases(viewer: User) -> ColumnElement[bool]:
    """The bases that the viewer may know of."""
    if not rights.can(viewer, "bases.see"):
        return false()
    scope = of(viewer)
    return true() if scope is None else _bases_in(scope)


def nodes(viewer: User) -> ColumnElement[bool]:
    """The nodes that the viewer may know of."""
    if not rights.can(viewer, "nodes.see"):
        return false()
    scope = of(viewer)
    return true() if scope is None else _nodes_in(scope)


def people(viewer: User) -> ColumnElement[bool]:
    """The users that the viewer may know of."""
    own = User.id == viewer.id
    if not rights.can(viewer, "users.see"):
        return own
    scope = of(viewer)
    if scope is None:
        return true()
    owners = select(Clone.owner_id).where(_clones_in(scope))
    offered = select(BaseOffer.user_id).where(BaseOffer.base_id.in_(scope.base_ids), BaseOffer.user_id.is_not(None))
    members = select(GroupMember.user_id).where(GroupMember.group_id.in_(_groups_offered(scope)))
    return or_(own, User.id.in_(owners.union(offered, members)))


def groups(viewer: User) -> ColumnElement[bool]:
    """The groups that the viewer may know of."""
    if not rights.can(viewer, "users.see"):
        return false()
    scope = of(viewer)
    return true() if scope is None else Group.id.in_(_groups_offered(scope))


def _groups_offered(scope: Scope) -> Select[int | None]:
    return select(BaseOffer.group_id).where(BaseOffer.base_id.in_(scope.base_ids), BaseOffer.group_id.is_not(None))


def operations(viewer: User) -> ColumnElement[bool]:
    """The operations that the viewer may know of: their own, and those that name nothing outside of what they know of.

    One on clones names them: on a node, or of a base, that is given as a whole, or while all of them are known.
    """
    own = Operation.user_id == viewer.id
    if not rights.can(viewer, "operations.see"):
        return own
    scope = of(viewer)
    if scope is None:
        return true()
    node = or_(Operation.node_id.is_(None), Operation.node_id.in_(_node_ids(scope)))
    some = or_(Operation.node_id.is_not(None), Operation.base_id.is_not(None))
    on_clones = or_(Operation.kind.startswith("clones_"), Operation.kind == "viewer_offer")
    known = select(func.count()).where(Clone.operation_id == Operation.id, _clones_in(scope)).scalar_subquery()
    whole = or_(Operation.node_id.in_(scope.node_ids), Operation.base_id.in_(scope.base_ids))
    # Before there is a base, its name is in the title alone.
    nameless = and_(Operation.base_id.is_(None), Operation.kind.startswith("base_"))
    base = and_(or_(Operation.base_id.is_(None), Operation.base_id.in_(_base_ids(scope))), not_(nameless))
    clones_known = or_(whole, Operation.items == known)
    return or_(own, and_(node, some, or_(and_(on_clones, clones_known), and_(not_(on_clones), base))))


def operations_to_control(viewer: User) -> ColumnElement[bool]:
    """Those that the viewer may retry and cancel: all that they are about, clones included, is in their scope."""
    own = Operation.user_id == viewer.id
    if not rights.can(viewer, "operations.control"):
        return own
    scope = of(viewer)
    if scope is None:
        return true()
    node = or_(Operation.node_id.is_(None), Operation.node_id.in_(_node_ids(scope)))
    base = or_(Operation.base_id.is_(None), Operation.base_id.in_(_base_ids(scope)))
    some = or_(Operation.node_id.is_not(None), Operation.base_id.is_not(None))
    foreign = exists().where(Clone.operation_id == Operation.id, not_(_clones_in(scope)), Clone.owner_id != viewer.id)
    return or_(own, and_(node, base, some, not_(foreign)))


def nodes_for_clones_of(actor: User, base_id: int) -> Select[int] | None:
    """The ids of the nodes that the actor may put the base's clones on, those in the actor's scope; None for all."""
    scope = of(actor)
    if scope is None:
        return None
    if base_id in scope.base_ids:
        return select(Node.id).where(_nodes_in(scope))
    return select(Node.id).where(Node.id.in_(scope.node_ids))


def known_verdicts(viewer: User, decision: Mapping[str, Any]) -> dict[str, Any]:
    """A decision (placement's Decision.to_dict) with the verdicts on nodes that the viewer knows of alone."""
    scope = of(viewer)
    if scope is None:
        return dict(decision)
    known = set(db.session.scalars(select(Node.id).where(_nodes_in(scope))))
    return {**decision, "verdicts": [row for row in decision["verdicts"] if row["node_id"] in known]}


def _clones_in(scope: Scope) -> ColumnElement[bool]:
    return or_(Clone.base_id.in_(scope.base_ids), Clone.node_id.in_(scope.node_ids))


def _bases_in(scope: Scope) -> ColumnElement[bool]:
    return Base.id.in_(_base_ids(scope))


def _nodes_in(scope: Scope) -> ColumnElement[bool]:
    return Node.id.in_(_node_ids(scope))


def _base_ids(scope: Scope) -> ScalarSelect[int]:
    ticked = select(AllowedNode.base_id).where(AllowedNode.node_id.in_(scope.node_ids))
    return ticked.union(select(Base.id).where(Base.id.in_(scope.base_ids))).scalar_subquery()


def _node_ids(scope: Scope) -> ScalarSelect[int]:
    ticked = select(AllowedNode.node_id).where(AllowedNode.base_id.in_(scope.base_ids))
    return ticked.union(select(Node.id).where(Node.id.in_(scope.node_ids))).scalar_subquery()
