"""Screenshots of running clones, taken by a job: for users who are active, within a deadline."""

import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import groupby

import structlog
from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from ravada_web.extensions import db
from ravada_web.hypervisor.connection import open_connection
from ravada_web.hypervisor.displays import picture
from ravada_web.hypervisor.errors import HypervisorError
from ravada_web.models import Clone, CloneState, Node, Observed, Trust, UserSession, now
from ravada_web.services import changes
from ravada_web.services.batches import batched
from ravada_web.services.consoles import screenshots
from ravada_web.services.nodes import endpoints

log = structlog.get_logger()
# Users whose browsers were silent for this long get no new screenshots.
ABOUT = timedelta(minutes=10)
AT_ONCE = 40
JOB_SECONDS = 15.0
LIBVIRT_SECONDS = 2.0


def due() -> list[Sequence[int]]:
    """The ids of running clones whose users are active, in lots of one job each, grouped by node."""
    about = select(UserSession.user_id).where(UserSession.seen_at > now() - ABOUT)
    query = (
        select(Clone.id)
        .join(Node, Node.id == Clone.node_id)
        .where(Clone.state == CloneState.RUNNING, Clone.owner_id.in_(about))
        .where(Node.observed == Observed.UP, Node.trust == Trust.PINNED)
        .order_by(Clone.node_id, Clone.id)
    )
    ids = list(db.session.scalars(query))
    return list(batched(ids, AT_ONCE))


def capture(clone_ids: Sequence[int]) -> None:
    """Take screenshots of these clones, one connection a node; those that fail are left for next time."""
    query = select(Clone).where(Clone.id.in_(clone_ids), Clone.state == CloneState.RUNNING)
    rows = db.session.scalars(query.options(joinedload(Clone.node)).order_by(Clone.node_id, Clone.id)).all()
    end = time.monotonic() + JOB_SECONDS
    # What is needed of the rows, so that no transaction stays open while nodes answer.
    by_node = [
        (endpoints.libvirt_uri(endpoints.target(node)), [(clone.id, clone.uuid, clone.owner_id) for clone in clones])
        for node, clones in groupby(rows, key=lambda clone: clone.node)
    ]
    db.session.rollback()
    owners = {owner for uri, clones in by_node for owner in _of_node(uri, clones, end)}
    if owners:
        changes.publish(f"desktops-{owner}" for owner in owners)


def _of_node(uri: str, clones: Sequence[tuple[int, str, int]], end: float) -> Iterator[int]:
    """Take one node's pictures until the time is up; yields the owners of those that show something new."""
    try:
        with open_connection(uri, deadline=LIBVIRT_SECONDS) as connection:
            for clone_id, uuid, owner in clones:
                if time.monotonic() > end:
                    return
                try:
                    if screenshots.store(clone_id, picture(connection, uuid)):
                        yield owner
                except HypervisorError as error:
                    log.debug("no picture", clone=clone_id, error=error.message.to_json())
    except HypervisorError as error:
        log.info("no pictures of a node", error=error.message.to_json())
    except RedisError as error:
        log.info("no pictures kept", error=str(error))
