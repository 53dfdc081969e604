"""What an administrator does first, and how far that is: read from the rows, in one query."""

from dataclasses import dataclass

from sqlalchemy import exists, func, or_, select

from ravada_web.extensions import db
from ravada_web.models import AllowedNode, Base, BaseOffer, BaseState, Clone, Node, User


@dataclass(frozen=True)
class FirstSteps:
    """How far the installation is: nodes and people are counted up to two.

    `base_id` and `base_state` are those of the base that has come farthest; `allowed` is the most nodes that a
    prepared base is allowed on; `has_desktops` says that there are clones, or an offer to users.
    """

    nodes: int
    base_id: int | None
    base_state: str
    allowed: int
    has_desktops: bool
    people: int

    @property
    def prepared(self) -> bool:
        """Whether there is a base to make desktops from."""
        return self.base_state == BaseState.READY

    @property
    def spread(self) -> bool:
        """Whether the base may run on more than one node, where there is more than one."""
        return self.prepared and self.allowed >= min(2, max(1, self.nodes))

    @property
    def done(self) -> tuple[bool, ...]:
        """The steps in their order: a node, a base, its nodes, desktops, people."""
        return (self.nodes > 0, self.prepared, self.spread, self.has_desktops, self.people > 1)

    @property
    def next(self) -> int | None:
        """The number of the first step that is not done, from 0; None when all are."""
        return self.done.index(False) if not all(self.done) else None


def read() -> FirstSteps:
    """How far the installation is, in one query that does not grow with it."""
    ready = (Base.state == BaseState.READY).desc()
    best = select(Base.id).order_by(ready, Base.id.desc()).limit(1).scalar_subquery()
    state = select(Base.state).order_by(ready, Base.id.desc()).limit(1).scalar_subquery()
    allowed = (
        select(func.count())
        .select_from(AllowedNode)
        .join(Base, Base.id == AllowedNode.base_id)
        .where(Base.state == BaseState.READY)
        .group_by(Base.id)
        .order_by(func.count().desc())
        .limit(1)
        .scalar_subquery()
    )
    offered = exists(select(Base.id).where(Base.offered_to_all))
    has_desktops = or_(exists(select(Clone.id)), offered, exists(select(BaseOffer.id)))
    people = select(func.count()).select_from(select(User.id).limit(2).subquery()).scalar_subquery()
    nodes = select(func.count()).select_from(select(Node.id).limit(2).subquery()).scalar_subquery()
    row = db.session.execute(select(nodes, best, state, allowed, has_desktops, people)).one()
    return FirstSteps(row[0], row[1], row[2] or "", row[3] or 0, bool(row[4]), row[5])
