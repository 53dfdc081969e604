"""Clones as pages list them; every clone is found here, and by the viewer's rights alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import defaultload, joinedload, lazyload

from ravada_web.errors import NotFound
from ravada_web.extensions import db
from ravada_web.messages import message
from ravada_web.models import Clone, CloneState, Decision, Node, Operation, OperationState, User
from ravada_web.services.operations.kinds import kinds_on
from ravada_web.services.operations.subjects import RESTARTED_CLONES, STOPPED_CLONES
from ravada_web.services.paging import Page, paginate
from ravada_web.services.people import names as user_names
from ravada_web.services.permissions import scopes
from ravada_web.services.placements import choice as placement_choice


@dataclass(frozen=True)
class Filters:
    """What to list; empty fields do not filter."""

    search: str = ""
    base_id: int | None = None
    node_id: int | None = None
    owner: str = ""
    state: str = ""


def visible(viewer: User) -> Select[Clone]:
    """The clones that the viewer may know of, with what a line of a list shows."""
    shown = (joinedload(Clone.base), joinedload(Clone.node), joinedload(Clone.owner))
    return select(Clone).options(*shown).where(scopes.clones(viewer, "clones.see_all"))


# A line of a list shows nothing of these.
_UNREAD = (lazyload(Clone.nics), defaultload(Clone.node).defer(Node.facts).lazyload(Node.pools))


def listing(viewer: User, filters: Filters, page: int = 1) -> Page[Clone]:
    """The clones that the viewer may see and the filters leave, by name."""
    query = visible(viewer)
    for column, value in (
        (Clone.base_id, filters.base_id),
        (Clone.node_id, filters.node_id),
        (Clone.state, filters.state),
    ):
        if value:
            query = query.where(column == value)
    if filters.owner:
        query = query.where(Clone.owner.has(user_names.named_like(viewer, filters.owner)))
    if filters.search:
        query = query.where(Clone.name.icontains(filters.search, autoescape=True))
    return paginate(query.options(*_UNREAD).order_by(Clone.sort_name), page)


def of_owner(viewer: User, user_id: int, most: int = 20) -> Sequence[Clone]:
    """The first clones of a user, by name, as far as the viewer may know of them."""
    query = visible(viewer).where(Clone.owner_id == user_id).options(*_UNREAD).order_by(Clone.sort_name)
    return db.session.scalars(query.limit(most)).all()


def get(viewer: User, clone_id: int) -> Clone:
    """One clone. Raises NotFound, for a foreign one too."""
    clone = db.session.scalar(visible(viewer).where(Clone.id == clone_id))
    if clone is None:
        raise NotFound(message("clones.not_found"))
    return clone


def by_name(viewer: User, name: str) -> Clone:
    """The clone of that name. Raises NotFound, for one that is foreign too."""
    clone = db.session.scalar(visible(viewer).where(Clone.name == name))
    if clone is None:
        raise NotFound(message("clones.no_such_name", name=name))
    return clone


def of_decision(viewer: User, decision: Decision) -> Sequence[Clone]:
    """The clones that a decision placed, as far as the viewer may know of them, in their list's order."""
    query = visible(viewer).where(Clone.decision_id == decision.id).order_by(Clone.sort_name)
    return db.session.scalars(query).all()


def power_work_on(viewer: User, clone_ids: Sequence[int]) -> list[int]:
    """The ids of the operations that start, stop or delete these clones now."""
    states = (CloneState.STARTING, CloneState.STOPPING, CloneState.DELETING)
    query = visible(viewer).where(Clone.id.in_(clone_ids), Clone.state.in_(states))
    return sorted({clone.operation_id for clone in db.session.scalars(query) if clone.operation_id})


def of_operation(viewer: User, operation_id: int) -> Sequence[Clone]:
    """The clones that an operation is about, as far as the viewer may know of them."""
    query = visible(viewer).where(Clone.operation_id == operation_id).order_by(Clone.sort_name)
    return db.session.scalars(query).all()


def still_on(viewer: User, operation: Operation) -> Sequence[int]:
    """The ids of the clones that an operation is to shut down, or has failed to, as far as the viewer may force them
    off."""
    kinds = (*kinds_on(STOPPED_CLONES), *kinds_on(RESTARTED_CLONES))
    if operation.kind not in kinds or operation.state not in (OperationState.WATCHED, OperationState.FAILED):
        return ()
    states = (CloneState.STOPPING, CloneState.RUNNING, CloneState.PAUSED)
    query = select(Clone.id).where(Clone.operation_id == operation.id, Clone.state.in_(states))
    return db.session.scalars(query.where(scopes.clones(viewer, "clones.control_all")).order_by(Clone.sort_name)).all()


def present(viewer: User, clone_ids: Sequence[int]) -> Sequence[Clone]:
    """Those of these clones that there are, as far as the viewer may know of them, in their list's order."""
    return db.session.scalars(visible(viewer).where(Clone.id.in_(clone_ids)).order_by(Clone.sort_name)).all()


def many(viewer: User, clone_ids: Sequence[int]) -> Sequence[Clone]:
    """These clones, in their list's order. Raises NotFound when one does not exist, or is foreign."""
    ids = set(clone_ids)
    clones = db.session.scalars(visible(viewer).where(Clone.id.in_(ids)).order_by(Clone.sort_name)).all()
    if len(clones) != len(ids):
        raise NotFound(message("clones.not_found"))
    return clones


def why(viewer: User, clone: Clone) -> dict[str, Any] | None:
    """The decision that placed the clone, with a verdict for every node that the viewer may know of (placement's
    Decision.to_dict)."""
    return scopes.known_verdicts(viewer, placement_choice.explained(clone.decision)) if clone.decision else None


def out_of_space(viewer: User, node: Node) -> Sequence[Clone]:
    """The clones of a node that wait, paused, for space to write in."""
    query = visible(viewer).where(Clone.node_id == node.id, Clone.out_of_space, Clone.state == CloneState.PAUSED)
    return db.session.scalars(query.order_by(Clone.sort_name)).all()
