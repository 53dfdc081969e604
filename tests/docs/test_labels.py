"""Menus, buttons and tabs that the guides name in italics are called so in the product, and its errors read so."""

import re
from functools import cache

import pytest

from tests.docs import markdown

GUIDES = ("README.md", "docs/nodes.md", "docs/production.md", "docs/ui.md")
_ITALICS = re.compile(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)")


@cache
def texts() -> str:
    """All that the pages can say."""
    files = [*(markdown.ROOT / "templates").rglob("*.html"), *(markdown.ROOT / "ravada_web").rglob("*.py")]
    return "\n".join(path.read_text() for path in files)


@pytest.mark.parametrize("guide", GUIDES)
def test_labels_are_those_of_the_pages(guide: str) -> None:
    named = _ITALICS.findall(markdown.prose((markdown.ROOT / guide).read_text()))
    labels = {label for path in named for label in " ".join(path.split()).split(" › ")}
    assert {label for label in labels if f'"{label}' not in texts()} == set()


def test_errors_of_the_guide_are_those_of_the_product() -> None:
    guide = (markdown.ROOT / "docs" / "nodes.md").read_text()
    rows = markdown.rows(guide.partition("## Troubleshooting")[2].partition("\n## ")[0])
    said = " ".join(re.sub(r"%\(\w+\)s", "…", texts()).split())
    assert rows
    assert [error for error, _cause, _help in rows if error not in said] == []
