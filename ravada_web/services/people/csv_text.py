"""The text of a table as spreadsheets write it: its lines, what cells are apart by, and what stands around them."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# What Excel writes before a table, for itself to know what cells are apart by.
_SEPARATOR = re.compile(r'^"?sep=([^"\w\s]|\t)"?[,;\t]*$', re.IGNORECASE)
_END = r"\r\n|\r|\n"
# No table of ours is so large, with all that spreadsheets put around it.
MOST_CELLS, MOST_LINES = 100, 50_000
DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class Line:
    """A line of the table that is not empty, with its number in the file (from 1) and its cells, without blanks around
    them."""

    number: int
    cells: Sequence[str]


def lines(text: str) -> Iterator[Line]:
    """The lines of a table that have something in them. Raises csv.Error where it is none from there on."""
    text, skipped = _without_empty_lines(text)
    first, rest = _first_line(text)
    if said := _SEPARATOR.match(first.strip(" ")):
        text, skipped, delimiter = rest, skipped + 1, said[1]
    else:
        delimiter = max(DELIMITERS, key=first.count)
    plain = _without_blanks_around_quotes(text, delimiter)
    reader = csv.reader(io.StringIO(plain, newline=""), delimiter=delimiter, strict=True)
    for number, row in enumerate(reader):
        if len(row) > MOST_CELLS or number >= MOST_LINES:
            raise csv.Error(f"more than {MOST_CELLS} cells in a line, or {MOST_LINES} lines")
        cells = [cell.strip() for cell in row]
        if any(cells):
            yield Line(reader.line_num + skipped, cells)


def _without_empty_lines(text: str) -> tuple[str, int]:
    """The text from its first line on that has something in it, and how many are before that."""
    empty = re.match(rf"(?:[ ,;\t]*(?:{_END}))*", text)
    before = empty[0] if empty else ""
    return text[len(before) :], len(re.findall(_END, before))


def _first_line(text: str) -> tuple[str, str]:
    """The first line, and what comes after it."""
    first, *rest = re.split(_END, text, maxsplit=1)
    return first, rest[0] if rest else ""


def _without_blanks_around_quotes(text: str, delimiter: str) -> str:
    """Quoted cells right beside what they are apart by: blanks between would make them no quotes."""
    apart = re.escape(delimiter)
    blank = r"[ \u00a0]*" if delimiter == "\t" else r"[ \t\u00a0]*"
    quoted = re.compile(rf'(^|[{apart}\r\n]){blank}("(?:[^"]|"")*"){blank}(?=[{apart}\r\n]|$(?![\r\n]))')
    return quoted.sub(r"\1\2", text)
