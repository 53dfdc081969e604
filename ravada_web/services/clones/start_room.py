"""Room that is kept for the loss of a node, where clones start on the nodes that they are on."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from ravada_web.models import Clone, CloneState
from ravada_web.placement.reserve import Newcomer, Reserve
from ravada_web.placement.types import Reason
from ravada_web.services.placements import reserve


class StartRoom:
    """What of that room these clones may not use. One that is paused holds its memory already."""

    def __init__(self, session: Session, clones: Sequence[Clone]) -> None:
        cold = [clone for clone in clones if clone.state != CloneState.PAUSED]
        self._kept = reserve.kept(session, {clone.base_id for clone in cold}) if cold else None
        self._reserve = Reserve(self._kept.cluster, map(self._newcomer, cold)) if self._kept else None

    def reason_against(self, clone: Clone) -> Reason | None:
        """What keeps the clone from starting; None where it may."""
        if self._reserve is None or clone.state == CloneState.PAUSED:
            return None
        return self._reserve.refusal(clone.node_id, self._newcomer(clone))

    def charge(self, clone: Clone) -> None:
        """Count the clone as one that runs."""
        if self._reserve is not None and clone.state != CloneState.PAUSED:
            self._reserve.charge(clone.node_id, self._newcomer(clone))

    def _newcomer(self, clone: Clone) -> Newcomer:
        assert self._kept is not None, "asked for where room is kept alone"
        return Newcomer(clone.memory_mib, self._kept.onto_of(clone.base, clone.volatile))
