"""What keeps a desktop from starting."""

from enum import StrEnum


class Obstacle(StrEnum):
    """Why a node does not take work: no answer, another host key, taken out of service, or short of memory."""

    AWAY = "away"
    QUARANTINED = "quarantined"
    CLOSED = "closed"
    FULL = "full"
