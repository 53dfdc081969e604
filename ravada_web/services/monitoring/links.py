"""What a link tells of its node: one that breaks may be the first sign of a death, one that comes up of a return.

Neither waits for the next round of checks. Two failures of different kinds make a death: the link is gone, and a
connection of its own is refused, or not answered.
"""

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import Node, Observed
from ravada_web.remote import presence
from ravada_web.remote.errors import NodeUnreachable
from ravada_web.remote.target import Target
from ravada_web.services.batches import batched
from ravada_web.services.monitoring import rounds
from ravada_web.services.monitoring.answers import Answer
from ravada_web.services.monitoring.examination import manner_of
from ravada_web.services.monitoring.probe import WAVE_SECONDS
from ravada_web.services.monitoring.recording import record
from ravada_web.services.operations import outbox

AT_ONCE = 512
# So many deaths are written by one transaction: others want to write, too.
LOT = 50
# So long an address may be silent, or refuse: time for a second try of TCP, and for an sshd to be restarted.
SILENT_SECONDS = 1.5
# The job that checks nodes, by its dotted name; what is not begun by then is done by a round of checks.
JOB, JOB_SECONDS = "jobs.nodes.check", 10


def broke(lost: Collection[Target]) -> None:
    """Look at once at nodes whose link has just broken. Those that are dead are written so here, whatever the workers
    are busy with; the others are checked before all else."""
    numbers = rounds.begin([target.node_id for target in lost])
    here = [target for target in lost if target.node_id in numbers]
    alive: list[int] = []
    for lot in _asked(here):
        dead = [_death(target, fault, numbers[target.node_id]) for target, fault in lot if fault is not None]
        for some in batched(dead, LOT):
            record(some)
        alive += [target.node_id for target, fault in lot if fault is None]
    check_first(alive)


def came_up(node_ids: Collection[int]) -> None:
    """Have nodes whose link has just come up, and that were not seen up, checked before all else."""
    asked = select(Node.id).where(Node.id.in_(node_ids), Node.seen != Observed.UP).order_by(Node.id)
    away = db.session.scalars(asked).all()
    db.session.rollback()
    check_first(away)


def check_first(node_ids: Sequence[int]) -> None:
    """Queue a check of these nodes before all other checks; nothing of none. Raises RedisError."""
    if node_ids:
        outbox.queue(rounds.QUEUE).enqueue(
            JOB, args=list(node_ids), at_front=True, ttl=JOB_SECONDS, job_timeout=60, result_ttl=0, failure_ttl=3600
        )


Asked = tuple[Target, NodeUnreachable | None]


def _asked(targets: Sequence[Target]) -> Iterator[list[Asked]]:
    """What is wrong with each of them, in lots, as it is found out."""
    if not targets:
        return
    with ThreadPoolExecutor(min(len(targets), AT_ONCE)) as threads:
        pending: dict[Future[NodeUnreachable | None], Target] = {
            threads.submit(presence.fault, target, SILENT_SECONDS): target for target in targets
        }
        while pending:
            done, _left = wait(pending, WAVE_SECONDS)
            if done:
                yield [(pending.pop(future), future.result()) for future in done]


def _death(target: Target, fault: NodeUnreachable, number: int) -> Answer:
    return Answer(target.node_id, Observed.DOWN, fault.message, away=manner_of(fault), round=number)
