"""Screenshots of running clones, taken by a job: for users who are active, within a deadline."""

import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import groupby

import structlog
from redis.exceptions import RedisError
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from ravada_web.clock import recent
from ravada_web.extensions import db
from ravada_web.guard import guarded
from ravada_web.hypervisor.connection import open_connection
from ravada_web.hypervisor.displays import picture
from ravada_web.messages import Message
from ravada_web.models import Clone, CloneState, Node, UserSession
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
    about = select(UserSession.user_id).where(recent(UserSession.seen_at, ABOUT))
    query = (
        select(Clone.id)
        .join(Node, Node.id == Clone.node_id)
        .where(Clone.state_in_use == CloneState.RUNNING, Clone.owner_id.in_(about))
        .where(Node.is_reachable)
        .order_by(Clone.node_id, Clone.id)
    )
    ids = list(db.session.scalars(query))
    return list(batched(ids, AT_ONCE))


def capture(clone_ids: Sequence[int]) -> None:
    """Take screenshots of these clones, one connection a node; those that fail are left for next time."""
    query = select(Clone).where(Clone.id.in_(clone_ids), Clone.state_in_use == CloneState.RUNNING)
    rows = db.session.scalars(query.options(joinedload(Clone.node)).order_by(Clone.node_id, Clone.id)).all()
    end = time.monotonic() + JOB_SECONDS
    # What is needed of the rows, so that no transaction stays open while nodes answer.
    by_node: list[tuple[str, str, list[tuple[int, str, int]]]] = []
    for node, clones in groupby(rows, key=lambda clone: clone.node):
        with guarded(_no_pictures, node=node.name):
            uri = endpoints.libvirt_uri(endpoints.target(node))
            by_node.append((node.name, uri, [(clone.id, clone.uuid, clone.owner_id) for clone in clones]))
    db.session.rollback()
    owners: set[int] = set()
    for name, uri, shown in by_node:
        with guarded(_no_pictures, node=name):
            owners.update(_of_node(uri, shown, end))
    if owners:
        changes.publish(f"desktops-{owner}" for owner in owners)


def _of_node(uri: str, clones: Sequence[tuple[int, str, int]], end: float) -> Iterator[int]:
    """Take one node's pictures until the time is up; yields the owners of those that show something new."""
    try:
        with open_connection(uri, deadline=LIBVIRT_SECONDS, within=JOB_SECONDS) as connection:
            for clone_id, uuid, owner in clones:
                if time.monotonic() > end:
                    return
                with guarded(_no_pictures, clone=clone_id):
                    if screenshots.store(clone_id, picture(connection, uuid)):
                        yield owner
    except RedisError as error:
        log.info("no pictures kept", error=str(error))


def _no_pictures(reason: Message) -> None:
    """The picture of before is shown, with its age."""
    log.debug("no picture", error=reason.to_json())
