"""Whether a node still bears the starts of a job: a retry puts clones back to work long after they were judged."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from ravada_web.extensions import db
from ravada_web.messages import Message, message
from ravada_web.models import Clone, CloneState, Node
from ravada_web.services.clones.batch import set_state
from ravada_web.services.clones.outcomes import by_reason
from ravada_web.services.operations.execution import Handle
from ravada_web.services.placements import loads as placements_loads


def set_aside(handle: Handle, batch: Sequence[Clone]) -> tuple[list[Clone], list[Message]]:
    """Of clones that are to start, those that their node can be promised for beside all others that run or are to; the
    last ones stay off, and why is said. Those that were paused hold what they need already."""
    if not batch or max(placements_loads.overpromised(db.session(), batch[0].node)) <= 0:
        return list(batch), []
    with handle.writing("placement") as session:
        over = _too_many(session, batch[0].node, batch)
        for clone_id, (_name, why) in over.items():
            set_state(handle, [clone_id], CloneState.STOPPED, why)
    return [clone for clone in batch if clone.id not in over], by_reason(list(over.values()))


def _too_many(session: Session, node: Node, batch: Sequence[Clone]) -> dict[int, tuple[str, Message]]:
    """The name and the reason of each that is too many, by its id; they are counted in the node's load already."""
    mib, vcpus = placements_loads.overpromised(session, node)
    over = {}
    for clone in reversed([clone for clone in batch if clone.state_before != CloneState.PAUSED]):
        if vcpus > 0:
            need = clone.base.vcpus
            why = message("clones.why_processors", node=node.name, need=need, have=max(0, need - vcpus))
        elif mib > 0:
            need, have = clone.memory_mib, max(0, clone.memory_mib - mib)
            reserve = node.memory_reserve_mib
            why = message("clones.why_memory", node=node.name, need_mib=need, have_mib=have, reserve_mib=reserve)
        else:
            break
        over[clone.id] = (clone.name, why)
        mib, vcpus = mib - clone.memory_mib, vcpus - clone.base.vcpus
    return over
