"""Reading our Markdown: the pages, their headings, links, tables and code blocks."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


def prose(text: str) -> str:
    """The page without its code blocks."""
    return _FENCE.sub("", text)


def code(text: str, language: str) -> list[str]:
    """The contents of the code blocks in that language."""
    return [body for name, body in _FENCE.findall(text) if name == language]


def links(text: str) -> list[str]:
    """The targets of all links and pictures."""
    return _LINK.findall(re.sub(r"`[^`\n]*`", "", prose(text)))


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes of the headings."""
    return {_anchor(heading) for heading in _HEADING.findall(prose(text))}


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def rows(text: str) -> list[list[str]]:
    """The cells of all table rows, headers and their lines left out."""
    lines = [line for line in prose(text).splitlines() if line.startswith("|")]
    headers = {number - 1 for number, line in enumerate(lines) if set(line) <= set("|-: ")}
    body = [line for number, line in enumerate(lines) if number not in headers and number - 1 not in headers]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body]
