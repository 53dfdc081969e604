"""How a node that does not answer is away: it refuses, it is silent, or it is known to be off."""

from enum import StrEnum

from sqlalchemy.orm import Mapped, mapped_column

from ravada_web.messages import NOTHING, Message, message
from ravada_web.models.types import Moment, Word, Words


class Away(StrEnum):
    """What is known of a node that is down, "" of one that is not.

    Something at its address that answers, and be it by refusing, is alive: so may be all its guests. Of a silent one
    nothing is known. Off is only what was fenced, or what a person has vouched for.
    """

    NONE = ""
    REFUSES = "refuses"
    SILENT = "silent"
    OFF = "off"


class Absence:
    """Why a node is not there. It is known to be off since `known_off_at`, by the word of `known_off_by`; that ends as
    soon as it answers anything in a round of checks after `known_off_round`. Once something was built on it
    (`known_off_used`), it can no longer be taken back."""

    away: Mapped[Word] = mapped_column(default=Away.NONE)
    known_off_at: Mapped[Moment | None]
    known_off_by: Mapped[Words]
    known_off_round: Mapped[int] = mapped_column(default=0)
    known_off_used: Mapped[bool] = mapped_column(default=False)
    # That it was shut down from here, and by whom; nothing has answered there since.
    shut_down_news: Mapped[Words]

    @property
    def is_known_off(self) -> bool:
        """Whether nothing runs there, for certain: its desktops may be started elsewhere."""
        return self.away == Away.OFF

    @property
    def is_shut_down(self) -> bool:
        """Whether it does not answer because it was shut down from here: as good as off, but nobody vouches."""
        return self.away == Away.SILENT and bool(self.shut_down_news)

    @property
    def what_now(self) -> Message:
        """What may and may not be done with its desktops while it is away, in one sentence; an empty message for one
        that is not."""
        if self.away == Away.OFF:
            return message("nodes.now_off", since_at=self.known_off_at, by=self.known_off_by)
        if self.is_shut_down:
            return self.shut_down_news
        return message(f"nodes.now_{self.away}") if self.away else NOTHING

    def forget_off(self) -> None:
        """It is no longer known to be off."""
        self.known_off_at, self.known_off_by, self.known_off_used = None, NOTHING, False
