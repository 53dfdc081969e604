"""Operations as pages list them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select, true
from sqlalchemy.orm import joinedload

from ravada_web.errors import NotFound
from ravada_web.extensions import db
from ravada_web.messages import message
from ravada_web.models import Operation, User
from ravada_web.models.mentions import mentions
from ravada_web.services.audit import events
from ravada_web.services.audit.events import Line
from ravada_web.services.operations.waiting import Waiting, explain
from ravada_web.services.paging import Page, paginate
from ravada_web.services.people import names as user_names
from ravada_web.services.permissions import rights, scopes


@dataclass(frozen=True)
class Filters:
    """What to list; empty fields do not filter."""

    state: str = ""
    kind: str = ""
    node_id: int | None = None
    base_id: int | None = None
    user: str = ""
    search: str = ""


def listing(viewer: User, filters: Filters, page: int = 1) -> Page[Operation]:
    """The operations that the viewer may know of, newest first. Raises NotAllowed."""
    rights.require(viewer, "operations.see")
    query = select(Operation).options(joinedload(Operation.node)).where(scopes.operations(viewer))
    if filters.state:
        query = query.where(Operation.state == filters.state)
    if filters.kind:
        query = query.where(Operation.kind == filters.kind)
    for column, value in (
        (Operation.node_id, filters.node_id),
        (Operation.base_id, filters.base_id),
    ):
        if value:
            query = query.where(column == value)
    if filters.user:
        query = query.where(Operation.user.has(user_names.named_like(viewer, filters.user)))
    if filters.search:
        query = query.where(mentions(Operation.title, filters.search))
    return paginate(query.order_by(Operation.id.desc()), page)


def get(viewer: User, operation_id: int, kind: str | None = None) -> Operation:
    """One operation that the viewer may know of. Raises NotFound, also for one of another `kind` than given."""
    operation = db.session.scalar(select(Operation).where(Operation.id == operation_id, scopes.operations(viewer)))
    if operation is None or kind not in (None, operation.kind):
        raise NotFound(message("operations.not_found"))
    return operation


@dataclass(frozen=True)
class OperationPage:
    """An operation, who asked for it (by their id, as far as the viewer may know of them), what it waits for (by its
    id, {} where it does not wait), and what has happened to it."""

    operation: Operation
    askers: Mapping[int, str]
    waiting: dict[int, Waiting]
    events: Sequence[Line]


def operation_page(viewer: User, operation_id: int) -> OperationPage:
    """What the page of one operation shows. Raises NotFound."""
    operation = get(viewer, operation_id)
    return OperationPage(
        operation,
        askers(viewer, [operation]),
        explain(viewer, [operation]),
        events.recent(viewer, "operation", operation_id),
    )


def askers(viewer: User, operations: Sequence[Operation]) -> Mapping[int, str]:
    """The names of those who asked for these operations, by their ids, as far as the viewer may know of them."""
    ids = {row.user_id for row in operations if row.user_id}
    known = scopes.people(viewer) if scopes.of(viewer) is not None else true()
    return dict(db.session.execute(select(User.id, User.name).where(User.id.in_(ids), known)).all())


def many(viewer: User, operation_ids: Sequence[int]) -> Sequence[Operation]:
    """These operations, oldest first. Raises NotFound when one does not exist, or the viewer may not know of it."""
    ids = set(operation_ids)
    query = select(Operation).where(Operation.id.in_(ids), scopes.operations(viewer))
    operations = db.session.scalars(query.order_by(Operation.id)).all()
    if len(operations) != len(ids):
        raise NotFound(message("operations.not_found"))
    return operations


def summary(viewer: User) -> dict[str, int]:
    """How many of the operations that the viewer may know of stand in each state."""
    query = select(Operation.state, func.count()).where(scopes.operations(viewer)).group_by(Operation.state)
    return dict(db.session.execute(query).all())
