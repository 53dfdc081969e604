"""“My desktops”: one's own clones, what is in the way of each in its user's words, and the offers not yet taken up."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from ravada_web.extensions import db
from ravada_web.messages import NOTHING, Message, message
from ravada_web.models import Away, Base, Clone, CloneState, Decision, Node, Operation, OperationState, User
from ravada_web.services.bases import offers
from ravada_web.services.clones import actions as clone_actions
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.clones.hastening import MAKING
from ravada_web.services.clones.obstacles import WAITING, Nodes, Obstacle, nodes_of, obstacle_of, reason_against
from ravada_web.services.consoles import screenshots
from ravada_web.services.moves import plan_notes
from ravada_web.services.operations import waiting
from ravada_web.services.operations.kinds import kinds_on
from ravada_web.services.operations.subjects import MOVED_CLONE, RESTARTED_CLONES
from ravada_web.services.operations.waiting import Waiting
from ravada_web.services.paging import Page, paginate

PER_PAGE = 60
# One that is being deleted does not count.
_STAYS = Clone.state != CloneState.DELETING


@dataclass(frozen=True)
class Desktop:
    """A card. `step` is how far it is on its way to its user: 0 waits, 1 starts; None when it is not on its way.

    `waiting` is its place, where others go first; `picture` the moment of its screen's picture (seconds since the
    epoch), if there is one; `ahead` what a plan of moves is about to do to it.
    """

    clone: Clone
    obstacle: Obstacle | None
    step: int | None
    restarts: bool
    waiting: Waiting | None
    picture: int | None
    may_delete: bool
    ahead: Message = NOTHING

    @property
    def notice(self) -> Message:
        """What its user has to know, and can do about it; an empty message where all is well."""
        if self.clone.comes_again:
            return self.clone.reason
        if self.ahead and self.obstacle == Obstacle.CLOSED:
            return NOTHING  # that is on its way
        if self.obstacle:
            return explain(self.obstacle, self.clone.node)
        if self.clone.state == CloneState.FAILED:
            return message("desktops.failed")
        if self.clone.reason and self.clone.state == CloneState.STOPPED:
            return message("desktops.last_start_failed")
        if self.clone.reason.kind == "clones.still_running" and self.clone.state == CloneState.RUNNING:
            return self.clone.reason
        return NOTHING

    @property
    def made_again(self) -> Message:
        """Why it was made again elsewhere; an empty message where it was not."""
        return self.clone.decision.why if self.clone.decision else NOTHING

    @property
    def launchable(self) -> bool:
        """Whether launching is worth a try: memory or space may be freed at any moment, a closed node stays closed."""
        passes = self.obstacle is None or self.obstacle.passes or (self.obstacle == Obstacle.CLOSED and self.ahead)
        return self.clone.state in WAITING and bool(passes)

    @property
    def opens(self) -> bool:
        """Whether its screen is there, or on its way."""
        return self.clone.state_in_use == CloneState.RUNNING or self.step is not None


def explain(obstacle: Obstacle, node: Node) -> Message:
    """What keeps a desktop from starting on its node, for its user, and what to do."""
    if obstacle == Obstacle.AWAY and node.away and node.observed_at:
        # To users, one that was shut down is off.
        away = Away.OFF if node.is_shut_down else node.away
        return message(f"desktops.away_{away}", node=node.name, since_at=node.observed_at)
    return message(f"desktops.obstacle_{obstacle}")


def page_of(viewer: User, search: str = "", page: int = 1) -> Page[Desktop]:
    """The viewer's own desktops whose name or base is like the search, by name."""
    query = clone_list.visible(viewer).where(Clone.owner_id == viewer.id)
    if search:
        like = Clone.base.has(Base.name.icontains(search, autoescape=True))
        query = query.where(Clone.name.icontains(search, autoescape=True) | like)
    query = query.options(joinedload(Clone.decision).load_only(Decision.why))
    shown = paginate(query.order_by(Clone.sort_name), page, PER_PAGE)
    return Page(_cards(viewer, shown.items), shown.total, shown.page, shown.pages)


def card(viewer: User, clone: Clone) -> Desktop:
    """The card of one clone."""
    return _cards(viewer, [clone])[0]


def new_offers(viewer: User) -> Sequence[Base]:
    """The bases that are offered to the viewer, ready, and of which there is no desktop of theirs yet, by name."""
    taken = set(db.session.scalars(select(Clone.base_id).where(Clone.owner_id == viewer.id, _STAYS)))
    return [base for base in offers.offered(viewer) if base.id not in taken]


def desktop_of(viewer: User, base_id: int) -> Clone | None:
    """The viewer's desktop of a base, the first by name, if there is one that is not being deleted."""
    query = select(Clone).where(Clone.owner_id == viewer.id, Clone.base_id == base_id, _STAYS)
    return db.session.scalars(query.order_by(Clone.sort_name).limit(1)).first()


def _cards(viewer: User, rows: Sequence[Clone]) -> list[Desktop]:
    """The cards of clones, in a handful of queries whatever their number."""
    operations = _operations(rows)
    nodes = nodes_of(db.session(), rows)
    shown = screenshots.times([row.id for row in rows if row.state_in_use in (CloneState.RUNNING, CloneState.PAUSED)])
    late = [id_ for id_, (_kind, state) in operations.items() if state == OperationState.WAITING]
    places = waiting.places(viewer, late)
    ahead = plan_notes.notes(db.session(), rows)
    return [
        _card(
            viewer,
            row,
            operations.get(row.operation_id or 0),
            places.get(row.operation_id or 0),
            nodes,
            shown.get(row.id),
            ahead.get(row.id, NOTHING),
        )
        for row in rows
    ]


def _operations(rows: Sequence[Clone]) -> dict[int, tuple[str, str]]:
    """Kind and state of the operations that work on these clones."""
    ids = {row.operation_id for row in rows if row.operation_id}
    query = select(Operation.id, Operation.kind, Operation.state).where(Operation.id.in_(ids))
    return {id_: (kind, state) for id_, kind, state in db.session.execute(query)} if ids else {}


def _card(
    viewer: User,
    clone: Clone,
    operation: tuple[str, str] | None,
    place: Waiting | None,
    nodes: Nodes,
    picture: int | None,
    ahead: Message,
) -> Desktop:
    restarts = starts_again(clone, operation[0] if operation else "")
    reason = reason_against(clone, nodes)
    return Desktop(
        clone=clone,
        obstacle=obstacle_of(reason) if reason else None,
        step=_step(clone, operation, restarts),
        restarts=restarts,
        waiting=place,
        picture=picture,
        may_delete=clone_actions.may_delete(viewer, clone),
        ahead=ahead,
    )


def starts_again(clone: Clone, kind: str) -> bool:
    """Whether the operation of this kind that it is in shuts it down, or has, to start it again: here, or on the node
    that it moves to."""
    if clone.state == CloneState.STOPPING:
        return kind in (*kinds_on(RESTARTED_CLONES), *kinds_on(MOVED_CLONE))
    return clone.state == CloneState.MOVING and clone.start_after


def _step(clone: Clone, operation: tuple[str, str] | None, restarts: bool) -> int | None:
    if clone.state in MAKING:
        return 0 if clone.start_after else None
    if restarts:
        return 0
    if clone.state == CloneState.STARTING:
        return 0 if operation and operation[1] == OperationState.WAITING else 1
    return None
