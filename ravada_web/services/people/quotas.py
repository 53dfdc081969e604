"""Quotas: how many clones somebody may have, how many of them running, and how much memory those may take."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import and_, func, or_, select
from sqlalchemy.orm import Session

from ravada_web.errors import Conflict
from ravada_web.extensions import db
from ravada_web.messages import Message, message
from ravada_web.models import USING_MEMORY, Clone, CloneState, Group, GroupMember, User
from ravada_web.services.batches import grouped
from ravada_web.services.permissions import rights

# One that is being deleted is not had any more.
_HAD = Clone.state != CloneState.DELETING
_WILL_RUN = and_(Clone.state.in_((CloneState.REQUESTED, CloneState.CREATING)), Clone.start_after)
_RUNS = or_(Clone.state.in_(USING_MEMORY), _WILL_RUN)


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
    return Quota(db.session.scalar(count_all), count, memory)


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
    if starting and _over(quota.running, used.running, starting):
        kind = "running_quota_reached" if used.running else "running_quota"
        raise Conflict(_refusal(kind, user, actor, count=quota.running, has=used.running, more=starting))
    if starting and quota.memory_mib is not None and _over(quota.memory_mib, used.memory_mib, memory_mib):
        kind = "memory_quota" if memory_mib > quota.memory_mib else "memory_quota_reached"
        amounts = {"has_mib": used.memory_mib, "most_mib": quota.memory_mib, "more_mib": memory_mib}
        raise Conflict(_refusal(kind, user, actor, **amounts))


def require_for(session: Session, actor: User, starting: Sequence[Clone]) -> None:
    """Refuse a start of clones that would exceed an owner's quota; those who may control all clones are not refused.
    Those that hold memory already are not counted again. Raises Conflict.
    """
    if rights.can(actor, "clones.control_all"):
        return
    off = [clone for clone in starting if clone.state not in USING_MEMORY]
    for owner_id, clones in grouped(off, lambda clone: clone.owner_id).items():
        memory = sum(clone.memory_mib for clone in clones)
        owner = session.get_one(User, owner_id)
        require(session, owner, starting=len(clones), memory_mib=memory, actor=actor)


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
