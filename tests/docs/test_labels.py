"""Menus, buttons and tabs that the administrators' pages name in italics are called so in the product."""

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
