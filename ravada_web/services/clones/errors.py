"""The refusals of a request for clones that carry more than a text."""

from ravada_web.errors import Conflict, RavadaError
from ravada_web.messages import Message
from ravada_web.placement.types import Decision
from ravada_web.services.clones.obstacles import Obstacle


class NoRoom(RavadaError):
    """Fewer fit than were asked for: nothing was created; `decision` says for every node why."""

    status = 422

    def __init__(self, message: Message | str, decision: Decision) -> None:
        super().__init__(message)
        self.decision = decision


class NoNodeAllowed(RavadaError):
    """The base has no node ticked: its Base tab is where to tick one."""

    status = 422

    def __init__(self, message: Message | str, base_id: int) -> None:
        super().__init__(message)
        self.base_id = base_id


class NodeRefuses(Conflict):
    """The clone's node does not take the work now; `obstacle` names the cause, for users who must not see nodes."""

    def __init__(self, message: Message | str, obstacle: Obstacle) -> None:
        super().__init__(message)
        self.obstacle = obstacle
