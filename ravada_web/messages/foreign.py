"""What other programs say: hostile, so it is typed, bounded and clean before it becomes a figure, a key or a row.

A text to be shown is made printable. A name or a path that is used again must not be altered: it is taken as it is, or
not at all. A number is one that can be meant, whatever Python would make of more.
"""

import json
import re
import unicodedata
from collections.abc import Iterable
from typing import Any

LONGEST_TAIL = 500
# libvirt keeps most things in files called after them, and a file's name is no longer; nor is a path.
LONGEST_NAME, LONGEST_PATH = 255, 4095
# Of a text whose end matters, more than this is not looked at.
_LONGEST_RAW = 1 << 16
# Lengths of files and file systems, in bytes; what databases hold.
MOST_BYTES = (1 << 63) - 1
_WHOLE = re.compile(r"[0-9]{1,20}")
_REAL = re.compile(r"[0-9]{1,20}(\.[0-9]{0,20})?")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
# Control characters with their escape sequences, and halves of characters.
_UNCLEAN = ("Cc", "Cs")
# What turns the direction of writing, so that a text reads as another one.
_TURNS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Nonsense(ValueError):
    """A program said what it cannot have meant."""


def printable(raw: bytes | str) -> str:
    """The end of a program's output as one line, safe to log and to show: control characters become spaces."""
    cut = raw[-_LONGEST_RAW:]
    text = cut.decode(errors="replace") if isinstance(cut, bytes) else cut
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= LONGEST_TAIL else "…" + line[-LONGEST_TAIL:]


def whole(said: object, most: int = MOST_BYTES) -> int:
    """A whole number from 0 to `most`: a number, or ASCII digits. Raises Nonsense."""
    if isinstance(said, int) and not isinstance(said, bool):
        number = said
    elif _WHOLE.fullmatch(word_said := _said(said)):
        number = int(word_said)
    else:
        raise Nonsense("not a whole number")
    if not 0 <= number <= most:
        raise Nonsense("a number out of range")
    return number


def real(said: object, most: float) -> float:
    """A number from 0 to `most`, in ASCII digits with or without a fraction. Raises Nonsense."""
    if not _REAL.fullmatch(word_said := _said(said)):
        raise Nonsense("not a number")
    number = float(word_said)
    if number > most:
        raise Nonsense("a number out of range")
    return number


def _said(said: object) -> str:
    if isinstance(said, bytes):
        return said.decode("ascii", errors="replace")
    return said if isinstance(said, str) else ""


def json_object(raw: bytes | str) -> dict[str, Any]:
    """The JSON object that a program wrote. Raises Nonsense for anything else."""
    try:
        document = json.loads(raw)
    except RecursionError:
        document = None
    if not isinstance(document, dict):
        raise Nonsense("not an object in JSON")
    return document


def word(said: str | None, otherwise: str = "") -> str:
    """A word such as an architecture, a format, a machine type; `otherwise` for what is none."""
    return said if said and _WORD.fullmatch(said) else otherwise


def is_name(said: str) -> bool:
    """Whether something can be called so, and found by it again: no control characters, half ones, or turns of the
    direction of writing, and no longer than a file's name."""
    return 0 < len(said) <= LONGEST_NAME and not any(
        char in _TURNS or unicodedata.category(char) in _UNCLEAN for char in said
    )


def names(said: Iterable[str | None], most: int) -> tuple[str, ...]:
    """Those that are names, each once, in order; `most` at most."""
    return tuple(sorted({each for each in said if each and is_name(each)})[:most])


def is_path(said: str) -> bool:
    """Whether it is an absolute path that can be kept and used again: of any characters, but whole ones."""
    try:
        return said.startswith("/") and "\0" not in said and len(said.encode()) <= LONGEST_PATH
    except UnicodeEncodeError:
        return False


def lines(raw: bytes | str, longest: int) -> list[str]:
    """The lines of a program's output, each cut: no pattern that is looked for in one takes long."""
    text = raw.decode(errors="replace") if isinstance(raw, bytes) else raw
    return [line[:longest] for line in text.split("\n")]
