"""What came of an action on clones: those it is done to, and the others, each with its reason."""

from collections.abc import Sequence
from dataclasses import dataclass

from ravada_web.errors import Conflict
from ravada_web.messages import Message, message, sentences
from ravada_web.services.batches import grouped
from ravada_web.services.clones.errors import NodeRefuses
from ravada_web.services.clones.obstacles import Obstacle

# Of a long list of names, how many a message shows.
SHOWN_NAMES = 6


@dataclass(frozen=True)
class Acted:
    """A clone that the action is done to."""

    id: int
    name: str


@dataclass(frozen=True)
class Skipped:
    """A clone that is left as it is, and why (a sentence); `obstacle` is its node's, `so_already` that there was
    nothing to do."""

    id: int
    name: str
    why: Message
    obstacle: Obstacle | None = None
    so_already: bool = False


@dataclass(frozen=True)
class Outcome:
    """Of an action on clones: what it is done to, and what is skipped, in the order of their names."""

    action: str
    done: Sequence[Acted]
    skipped: Sequence[Skipped]

    @property
    def requested(self) -> int:
        """How many clones it was asked for."""
        return len(self.done) + len(self.skipped)

    @property
    def refused(self) -> list[Skipped]:
        """Those that are not as they were wanted."""
        return [skipped for skipped in self.skipped if not skipped.so_already]

    def reasons(self) -> list[Message]:
        """A sentence for each reason, with the names of those that it is true of; alike ones grouped."""
        return by_reason([(skipped.name, skipped.why) for skipped in self.skipped])

    def head(self, left: int = 0) -> Message:
        """How many it is done to, and how many are skipped; `left` were skipped when it was asked about."""
        skipped = len(self.skipped) + left
        count = self.requested + left
        return message(f"clones.partly_{self.action}", done=len(self.done), count=count, skipped=skipped)

    def summary(self) -> Message:
        """How many it is done to, how many are skipped and why."""
        return sentences(self.head(), *self.reasons())

    def require_some(self) -> "Outcome":
        """Itself, where it is done to some, or none needed it. Raises NodeRefuses or Conflict with the reasons."""
        if self.done or not self.refused:
            return self
        first = self.refused[0]
        # A single one's own reason says all; of many, each is named.
        why = first.why if self.requested == 1 and first.obstacle is None else sentences(*self.reasons())
        if first.obstacle is not None:
            raise NodeRefuses(why, first.obstacle)
        raise Conflict(why)


def by_reason(clones: Sequence[tuple[str, Message]]) -> list[Message]:
    """A sentence for each of the reasons (sentences too), with the names of the clones that it is true of."""
    return [
        message("clones.skipped_for", clones=_names([name for name, _why in alike]), why=why)
        for why, alike in grouped(clones, lambda clone: clone[1]).items()
    ]


def _names(names: Sequence[str]) -> list[str | Message]:
    shown: list[str | Message] = [*names[:SHOWN_NAMES]]
    if more := len(names) - len(shown):
        shown.append(message("clones.more", count=more))
    return shown
