"""Tables, relations and tiny properties; no I/O and no HTTP."""

from ravada_web.models.base import AllowedNode, Base, BaseDisk, BaseState, BaseVersion, Replica, ReplicaState
from ravada_web.models.clone import IN_WORK, USING_MEMORY, Clone, CloneNic, CloneState, Decision
from ravada_web.models.node import Node, Observed, Pool, Trust, Wanted
from ravada_web.models.operation import Event, Lock, Operation, OperationState
from ravada_web.models.types import now
from ravada_web.models.user import Role, User

__all__ = [
    "IN_WORK",
    "USING_MEMORY",
    "AllowedNode",
    "Base",
    "BaseDisk",
    "BaseState",
    "BaseVersion",
    "Clone",
    "CloneNic",
    "CloneState",
    "Decision",
    "Event",
    "Lock",
    "Node",
    "Observed",
    "Operation",
    "OperationState",
    "Pool",
    "Replica",
    "ReplicaState",
    "Role",
    "Trust",
    "User",
    "Wanted",
    "now",
]
