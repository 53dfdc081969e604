"""Whether the audit log is what was written: its chain, line by line, from the archive to the last one."""

import heapq
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from operator import itemgetter
from typing import Any

from sqlalchemy import Text, select, type_coerce

from ravada_web.extensions import db
from ravada_web.models import AuditChain, Event
from ravada_web.services import archive_files
from ravada_web.services.audit.chain import FIELDS, digest, moment

BATCH = 1000


class Fault(StrEnum):
    """What is wrong with the chain, if anything is."""

    NONE = ""
    LINE = "line"  # a line does not fit the one before
    END = "end"  # the last lines are missing
    ARCHIVE_END = "archive_end"  # the last lines of the archive are missing
    NOTED = "noted"  # no line has the hash that was noted


@dataclass(frozen=True)
class Proof:
    """How many lines fit, in the database and in the archive, and the last one's number and hash. With a fault, `line`
    is the first line that does not fit, or None; `unseen` says that the archive's files are not here."""

    kept: int
    archived: int
    last: int
    last_digest: str
    fault: Fault = Fault.NONE
    line: Mapping[str, Any] | None = None
    unseen: bool = False


class _Walk:
    """Along the chain, from a line that is known."""

    def __init__(self, number: int, known: str, noted: str) -> None:
        self.last, self.digest = number, known
        self.count = 0
        self.met = noted in ("", known)
        self.misfit: Mapping[str, Any] | None = None
        self._noted = noted

    def go(self, lines: Iterable[Mapping[str, Any]]) -> bool:
        """Whether all these lines fit."""
        for line in lines:
            if digest(self.digest, line) != line["digest"]:
                self.misfit = line
                return False
            self.last, self.digest = line["id"], line["digest"]
            self.met = self.met or self.digest == self._noted
            self.count += 1
        return True


def verify(noted: str = "") -> Proof:
    """Prove the chain, or find the first line that does not fit. `noted` is a hash that a line had once, to be met on
    the way: who can rewrite all of the log cannot rewrite what was noted elsewhere.

    Raises RavadaError for a file of the archive that is damaged.
    """
    with closing(_kept()) as rows:
        return _proof(rows, noted)


def _proof(rows: Iterator[Mapping[str, Any]], noted: str) -> Proof:
    chain = next(rows)
    old, new = _Walk(0, "", noted), _Walk(chain["anchor_id"], chain["anchor_digest"], noted)
    files = archive_files.files("events")
    lines = heapq.merge(*map(archive_files.read, files), key=itemgetter("id"))
    unseen = bool(chain["anchor_id"]) and not files
    if not old.go(_until(chain["anchor_id"], lines)):
        fault = Fault.LINE
    elif not unseen and old.digest != chain["anchor_digest"]:
        fault = Fault.ARCHIVE_END
    elif not new.go(rows):
        fault = Fault.LINE
    elif new.digest != chain["head_digest"]:
        fault = Fault.END
    else:
        fault = Fault.NONE if old.met or new.met or unseen else Fault.NOTED
    return Proof(new.count, old.count, new.last, new.digest, fault, old.misfit or new.misfit, unseen)


def _until(number: int, lines: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """What went to the archive; a line that was to go, and whose transaction failed then, is still in the database."""
    return (line for line in lines if line["id"] <= number)


def _kept() -> Generator[Mapping[str, Any]]:
    """The ends of the chain, then each line in the database after the anchor: all of one statement, so that what is
    written meanwhile is no part of it."""
    ends = (AuditChain.anchor_id, AuditChain.anchor_digest, AuditChain.head_digest)
    text = type_coerce(Event.text, Text).label("text")
    columns = [text if name == "text" else getattr(Event, name) for name in (*FIELDS, "digest")]
    query = select(*ends, *columns).select_from(AuditChain).outerjoin(Event, Event.id > AuditChain.anchor_id)
    with db.session.execute(query.order_by(Event.id), execution_options={"yield_per": BATCH}) as result:
        for number, row in enumerate(result.mappings()):
            if number == 0:
                yield dict(row)
            if row["id"] is not None:
                yield {**row, "at": moment(row["at"])}
