"""Whether a node may rest while the cluster is quiet, and how it does."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy.orm import Mapped, mapped_column

from ravada_web.clock import now
from ravada_web.messages import NOTHING, Message
from ravada_web.models.types import Moment, Word, Words


class RestStep(StrEnum):
    """How far the rest of a node is: it is being emptied, then its host goes off, is off, and is woken."""

    NONE = ""
    EMPTYING = "emptying"
    GOING_OFF = "going_off"
    RESTING = "resting"
    WAKING = "waking"


class Resting:
    """`watts` is what the host takes while it is on, as its administrator says; 0 where nobody has said.

    `rest_step` is kept by the schedule alone, since `rest_since`; of one that is awake, that is when it last changed.
    `rest_note` is why it rests, or, of one that is awake, why it could not be put to rest when it was to be last.
    `rest_held` is why the schedule leaves it alone until a person says otherwise.
    """

    may_rest: Mapped[bool] = mapped_column(default=False)
    watts: Mapped[int] = mapped_column(default=0)
    rest_step: Mapped[Word] = mapped_column(default=RestStep.NONE)
    rest_since: Mapped[Moment | None]
    rest_note: Mapped[Words]
    rest_held: Mapped[Words]

    def take_rest_step(self, step: RestStep, note: Message = NOTHING) -> None:
        """It is at this step of its rest from now on."""
        self.rest_step, self.rest_since, self.rest_note = step, now(), note

    def rest_hours(self, moment: datetime) -> float:
        """For how many hours it has been at its present step."""
        return (moment - self.rest_since).total_seconds() / 3600 if self.rest_since else 0.0
