"""Pools of nodes: the one in use, how full it is, and how much of it is kept free."""

from pathlib import Path

from ravada_web.config import settings
from ravada_web.errors import Conflict, InvalidInput
from ravada_web.messages import NOTHING, Message, message
from ravada_web.models import Level, Node, Pool, User
from ravada_web.services.audit import events
from ravada_web.services.permissions import rights
from ravada_web.services.transaction import transaction


def require_pool(node: Node) -> Pool:
    """The pool of the node that replicas and clones live in.

    Raises Conflict when it has none that is active.
    """
    chosen = working_pool(node)
    if chosen is None:
        raise Conflict(message("storage.no_active_pool", node=node.name))
    return chosen


def in_pool(directory: str, name: str) -> str:
    """The absolute path of a file in a pool's folder."""
    return str(Path(directory) / name)


# The pool that replicas and clones live in; every node has one of this name (the seed: the same pools everywhere).
POOL = "default"


def working_pool(node: Node) -> Pool | None:
    """The pool that replicas and clones of the node live in: POOL, or else its first; None where none is active."""
    active = [pool for pool in node.pools if pool.active]
    return next((pool for pool in active if pool.name == POOL), active[0] if active else None)


def active_pool(node: Node, directory: str) -> Pool | None:
    """The pool that a replica in that folder has its clones in, or for "" the working pool; None where it is off."""
    if not directory:
        return working_pool(node)
    return next((pool for pool in node.pools if pool.active and pool.path == directory), None)


def floor_mib(pool: Pool) -> int:
    """What is kept free in the pool: below it nothing is placed, copied or launched there."""
    return settings().disk_reserve_mib if pool.floor_mib is None else pool.floor_mib


def used_percent(pool: Pool) -> float | None:
    """How full the pool is; None where that is not known."""
    if not pool.active or not pool.total_mib or pool.free_mib is None:
        return None
    return 100 * (pool.total_mib - pool.free_mib) / pool.total_mib


def level(pool: Pool) -> Level:
    """How near to full the pool is, by its own marks; below its floor it is critical, whatever they say."""
    used = used_percent(pool)
    if used is None:
        return Level.UNKNOWN
    if used >= pool.critical_percent or (pool.free_mib or 0) <= floor_mib(pool):
        return Level.CRITICAL
    return Level.WARNING if used >= pool.warn_percent else Level.OK


def no_room(node: Node) -> Message:
    """Why nothing more may be written on the node, with the figures; an empty message where it may."""
    pool = working_pool(node)
    if pool is None:
        return message("storage.no_active_pool", node=node.name)
    if pool.free_mib is None:
        return message("storage.free_unknown", pool=pool.name, node=node.name)
    if pool.free_mib > floor_mib(pool):
        return NOTHING
    return message(
        "storage.pool_full", pool=pool.name, node=node.name, free_mib=pool.free_mib, floor_mib=floor_mib(pool)
    )


def set_marks(actor: User, pool: Pool, *, warn_percent: int, critical_percent: int, floor_mib: int | None) -> None:
    """Set a pool's marks and its floor (MiB; None for the installation's). Raises InvalidInput."""
    rights.require(actor, "nodes.change")
    wrong: dict[str, Message] = {}
    if not 1 <= warn_percent <= 99:
        wrong["warn_percent"] = message("storage.warning_range")
    if not warn_percent < critical_percent <= 100:
        wrong["critical_percent"] = message("storage.critical_range", warn=warn_percent)
    most = pool.total_mib if pool.total_mib is not None else 1 << 40
    if floor_mib is not None and not 0 <= floor_mib <= most:
        wrong["floor_mib"] = message("storage.floor_range", most=most)
    if wrong:
        raise InvalidInput(wrong)
    with transaction() as session:
        pool.warn_percent, pool.critical_percent, pool.floor_mib = warn_percent, critical_percent, floor_mib
        marks = message("storage.marks", pool=pool.name, warn_percent=warn_percent, critical_percent=critical_percent)
        events.record(session, actor, "set_marks", pool.node, marks)


def require_room(node: Node, directory: str, free_mib: int, need_mib: int) -> None:
    """Refuse what would bring a pool's folder below its floor. Raises Conflict with the figures."""
    pool = next((pool for pool in node.pools if pool.path == directory), None)
    reserve = floor_mib(pool) if pool is not None else settings().disk_reserve_mib
    if need_mib <= free_mib - reserve:
        return
    shortage = message(
        "storage.not_enough_room",
        directory=directory,
        node=node.name,
        need_mib=need_mib,
        free_mib=max(0, free_mib - reserve),
        reserve_mib=reserve,
    )
    raise Conflict(shortage)
