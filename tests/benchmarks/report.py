"""What every benchmark does with its figures: one JSON line, and on request its section of docs/benchmarks.md."""

import json
import os
import platform
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "benchmarks.md"
Figures = Mapping[str, Any]


def report(name: str, figures: Figures) -> None:
    """Print the figures as one JSON line; with --write on the command line, put them into docs/benchmarks.md too."""
    print(json.dumps(figures))
    if "--write" in sys.argv[1:]:
        PAGE.write_text(replaced(PAGE.read_text(), name, f"{machine()}\n\n{table(figures)}"))


def replaced(page: str, name: str, content: str) -> str:
    """Returns the page with the content between the markers of that benchmark; raises ValueError without markers."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    found = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not found.search(page):
        raise ValueError(f"no section {begin} in {PAGE.name}")
    return found.sub(lambda _old: f"{begin}\n{content}\n{end}", page)


def machine() -> str:
    """When and on what the figures were measured: date, distribution, cores and memory."""
    system = platform.freedesktop_os_release()["PRETTY_NAME"]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return f"*{datetime.now(UTC):%Y-%m-%d}; {system}, {os.cpu_count()} cores, {memory:.0f} GiB of memory.*"


def table(figures: Figures) -> str:
    """Returns the figures as a Markdown table: a line for each group of figures, a column for each name."""
    groups = list(_groups(figures))
    columns = list(dict.fromkeys(name for _label, values in groups for name in values))
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for label, values in groups:
        lines.append(" | ".join([f"| {label}", *(_shown(values.get(name)) for name in columns)]) + " |")
    return "\n".join(lines)


def _groups(figures: Figures, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Figures]]:
    """Each mapping that holds figures, under the names that lead to it."""
    own = {name: value for name, value in figures.items() if not isinstance(value, Mapping)}
    if own:
        yield " ".join(path), own
    for name, value in figures.items():
        if isinstance(value, Mapping):
            yield from _groups(value, (*path, name))


def _shown(value: object) -> str:
    if value is None:
        return ""
    return f"{value:,}" if isinstance(value, int | float) else str(value)
