"""Tables, relations and tiny properties; no I/O and no HTTP."""

from ravada_web.clock import now
from ravada_web.models.alert import Alert
from ravada_web.models.base import (
    AllowedNode,
    Base,
    BaseDisk,
    BaseOffer,
    BaseState,
    BaseVersion,
    FileKind,
    Replica,
    ReplicaState,
)
from ravada_web.models.clone import (
    AT_REST,
    IN_WORK,
    ROUND_NOW,
    USING_MEMORY,
    Clone,
    CloneCopy,
    CloneNic,
    CloneState,
    Decision,
    Roster,
)
from ravada_web.models.cluster import Cluster
from ravada_web.models.console import Console, Ticket
from ravada_web.models.fence import Fence
from ravada_web.models.node import Access, Away, Level, Node, Observed, Pool, ServiceState, Trust
from ravada_web.models.operation import (
    OVER,
    AuditChain,
    Event,
    Lock,
    Operation,
    OperationState,
    attempt_id,
    operation_of,
)
from ravada_web.models.remains import DOOMED, UNDECIDED, Cause, Remains, RemainsKind
from ravada_web.models.sample import NodeSample, PoolSample
from ravada_web.models.user import Group, GroupMember, OperatorScope, RecoveryCode, Role, User, UserSession, name_key

__all__ = [
    "AT_REST",
    "DOOMED",
    "IN_WORK",
    "OVER",
    "ROUND_NOW",
    "UNDECIDED",
    "USING_MEMORY",
    "Access",
    "Alert",
    "AllowedNode",
    "AuditChain",
    "Away",
    "Base",
    "BaseDisk",
    "BaseOffer",
    "BaseState",
    "BaseVersion",
    "Cause",
    "Clone",
    "CloneCopy",
    "CloneNic",
    "CloneState",
    "Cluster",
    "Console",
    "Decision",
    "Event",
    "Fence",
    "FileKind",
    "Group",
    "GroupMember",
    "Level",
    "Lock",
    "Node",
    "NodeSample",
    "Observed",
    "Operation",
    "OperationState",
    "OperatorScope",
    "Pool",
    "PoolSample",
    "RecoveryCode",
    "Remains",
    "RemainsKind",
    "Replica",
    "ReplicaState",
    "Role",
    "Roster",
    "ServiceState",
    "Ticket",
    "Trust",
    "User",
    "UserSession",
    "attempt_id",
    "name_key",
    "now",
    "operation_of",
]
