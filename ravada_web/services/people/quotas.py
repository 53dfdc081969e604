"""Quotas: how many clones somebody may have, how many of them running, and how much memory those may take."""

from dataclasses import dataclass

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.messages import NOTHING, Message, message
from ravada_web.models import USING_MEMORY, Clone, CloneState, Group, GroupMember, User
from ravada_web.services.permissions import rights

# One that is being deleted is not had any more.
_HAD = Clone.state != CloneState.DELETING
_COMING = (CloneState.REQUESTED, CloneState.CREATING, CloneState.MOVING)
_WILL_RUN = and_(Clone.state.in_(_COMING), Clone.start_after)
_RUNS = or_(Clone.state_in_use.in_(USING_MEMORY), _WILL_RUN)


@dataclass(frozen=True)
class Quota:
    """Clones in all, those that run or are about to, and the memory of these in MiB; as a limit, None is none."""

    clones: int | None
    running: int | None
    memory_mib: int | None


MOST_CLONES, MOST_MEMORY_MIB = 100_000, 1 << 30
NO_QUOTA = Quota(None, None, None)


def quota_of(user: User) -> Quota:
    """What the user may have: the user's own value, else the largest of the groups' values, else no limit."""
    columns = (Group.most_clones, Group.most_running, Group.most_memory_mib)
    query = select(*(func.max(column) for column in columns)).join(GroupMember, GroupMember.group_id == Group.id)
    of_groups = db.session.execute(query.where(GroupMember.user_id == user.id)).one()
    own = (user.most_clones, user.most_running, user.most_memory_mib)
    return Quota(*(value if value is not None else largest for value, largest in zip(own, of_groups, strict=True)))


def used_by(user: User) -> Quota:
    """What the user has now."""
    count_all = select(func.count()).where(Clone.owner_id == user.id, _HAD)
    running = select(func.count(), func.coalesce(func.sum(Clone.memory_mib), 0)).where(Clone.owner_id == user.id, _RUNS)
    count, memory = db.session.execute(running).one()
    return Quota(db.session.scalar(count_all), count, int(memory))


def require(
    session: Session,
    user: User,
    *,
    new_clones: int = 0,
    starting: int = 0,
    memory_mib: int = 0,
    actor: User | None = None,
) -> None:
    """Refuse what would exceed the user's quota: new clones, and starting ones whose memory is `memory_mib` in all. To
    be called under the lock of placement, in the transaction that writes the rows.

    Raises Conflict with a message to the `actor`, who is the user unless given.
    """
    quota = quota_of(user)
    if quota == Quota(None, None, None):
        return
    session.flush()
    used = used_by(user)
    if new_clones and _over(quota.clones, used.clones, new_clones):
        kind = "clone_quota_reached" if quota.clones and used.clones == quota.clones else "clone_quota"
        raise Conflict(_refusal(kind, user, actor, count=quota.clones, has=used.clones, more=new_clones))
    if starting and (refusal := _start_refusal(user, quota, used, starting, memory_mib, actor)):
        raise Conflict(refusal)


def _start_refusal(
    user: User, quota: Quota, used: Quota, starting: int, memory_mib: int, actor: User | None
) -> Message:
    """Why no more clones may start that need so much memory; an empty message where they may."""
    if _over(quota.running, used.running, starting):
        kind = "running_quota_reached" if used.running else "running_quota"
        return _refusal(kind, user, actor, count=quota.running, has=used.running, more=starting)
    if quota.memory_mib is not None and _over(quota.memory_mib, used.memory_mib, memory_mib):
        kind = "memory_quota" if memory_mib > quota.memory_mib else "memory_quota_reached"
        amounts = {"has_mib": used.memory_mib, "most_mib": quota.memory_mib, "more_mib": memory_mib}
        return _refusal(kind, user, actor, **amounts)
    return NOTHING


class Starts:
    """Starts of clones that are there, one after the other, held against their owners' quotas; those who may control
    all clones are not bound. To be used under the lock of placement, in the transaction that writes the rows."""

    def __init__(self, session: Session, actor: User) -> None:
        self._session, self._actor = session, actor
        self._bound = not rights.can(actor, "clones.control_all")
        self._of: dict[int, tuple[User, Quota]] = {}
        self._used: dict[int, Quota] = {}

    def refusal(self, clone: Clone) -> Message:
        """Why the clone may not start beside those charged; an empty message where it may. What holds memory already
        is not counted again."""
        if not self._bound or clone.state_in_use in USING_MEMORY:
            return NOTHING
        owner, quota = self._owner(clone.owner_id)
        return _start_refusal(owner, quota, self._used[owner.id], 1, clone.memory_mib, self._actor)

    def charge(self, clone: Clone) -> None:
        """Count the clone as running."""
        if self._bound and clone.state_in_use not in USING_MEMORY:
            used = self._used[clone.owner_id]
            running, memory = (used.running or 0) + 1, (used.memory_mib or 0) + clone.memory_mib
            self._used[clone.owner_id] = Quota(used.clones, running, memory)

    def _owner(self, owner_id: int) -> tuple[User, Quota]:
        if owner_id not in self._of:
            owner = self._session.get_one(User, owner_id)
            self._of[owner_id], self._used[owner_id] = (owner, quota_of(owner)), used_by(owner)
        return self._of[owner_id]


def _over(most: int | None, used: int | None, more: int) -> bool:
    return most is not None and (used or 0) + more > most


def _refusal(kind: str, user: User, actor: User | None, **figures: int | None) -> Message:
    """What the quota's kind of message is to the user themselves, or to somebody who acts for them."""
    if actor is None or actor.id == user.id:
        return message(f"people.your_{kind}", **figures)
    return message(f"people.their_{kind}", name=user.name, **figures)


def set_quota(owner: User | Group, most: Quota) -> None:
    """Give a user or a group this quota."""
    owner.most_clones, owner.most_running, owner.most_memory_mib = most.clones, most.running, most.memory_mib


def own_quota(owner: User | Group) -> Message:
    """The own quota of a user or a group, for the audit log."""
    amounts = []
    if owner.most_clones is not None:
        amounts.append(message("people.quota_desktops", count=owner.most_clones))
    if owner.most_running is not None:
        amounts.append(message("people.quota_running", most=owner.most_running))
    if owner.most_memory_mib is not None:
        amounts.append(message("people.quota_memory", most_mib=owner.most_memory_mib))
    return message("people.quota", amounts=amounts) if amounts else message("people.no_quota")


def out_of_range(most: Quota) -> dict[str, Message]:
    """What is wrong with a quota; maps fields to reasons."""
    wrong = {}
    for name, value in (("most_clones", most.clones), ("most_running", most.running)):
        if value is not None and not 0 <= value <= MOST_CLONES:
            wrong[name] = message("people.quota_range", most=MOST_CLONES)
    if most.memory_mib is not None and not 0 <= most.memory_mib <= MOST_MEMORY_MIB:
        wrong["most_memory_mib"] = message("people.memory_quota_range")
    return wrong
