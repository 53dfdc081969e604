"""Who may view a screen, and who may refuse onlookers."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import joinedload

from ravada_web.errors import Conflict, NotAllowed
from ravada_web.extensions import db
from ravada_web.messages import message
from ravada_web.models import Clone, Console, User
from ravada_web.services.audit import events
from ravada_web.services.clones import listing as clone_list
from ravada_web.services.permissions import rights
from ravada_web.services.transaction import transaction


def is_onlooker(viewer: User, clone: Clone) -> bool:
    """Whether the viewer only looks on: everybody but the clone's user."""
    return clone.owner_id != viewer.id


def require_view(viewer: User, clone: Clone) -> None:
    """Raise NotAllowed unless the viewer is the clone's user, or may look on and is not refused."""
    if not is_onlooker(viewer, clone):
        return
    rights.require(viewer, "consoles.look_on")
    if clone.blocks_onlookers:
        raise NotAllowed(message("consoles.viewing_blocked", clone=clone.name))


def onlookers(clone: Clone) -> Sequence[Console]:
    """Who looks on at a clone now."""
    query = select(Console).where(Console.clone_id == clone.id, Console.view_only, Console.closed_at.is_(None))
    return db.session.scalars(query.options(joinedload(Console.user)).order_by(Console.id)).all()


def block_onlookers(actor: User, clone_id: int, refused: bool) -> None:
    """The clone's user blocks onlookers, or allows them again. Raises Conflict where its base does not let users
    refuse.
    """
    with transaction() as session:
        clone = clone_list.get(actor, clone_id)
        if is_onlooker(actor, clone):
            raise NotAllowed(message("consoles.only_its_user"))
        if not clone.base.users_may_refuse:
            raise Conflict(message("consoles.never_blocked"))
        clone.viewers_refused = refused
        events.record(session, actor, "refuse_viewers" if refused else "allow_viewers", clone)
