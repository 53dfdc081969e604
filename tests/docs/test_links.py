"""The pages of docs/: links lead somewhere, every page can be found, and the README stays short."""

import re
from pathlib import Path

import pytest

from tests.docs import markdown

README = markdown.ROOT / "README.md"
MOST_LINES = 100
NAMED_FILE = re.compile(r"`((?:ravada_web|tests|templates|static|jobs|migrations|deploy)/[\w./-]+)`")
NAMED_FILE = re.compile(r"`((?:ravada_web|tests|templates|static|jobs|migrations|deploy)/[\w./-]+)`")


def _names(pages: list[Path]) -> list[str]:
    return [str(page.relative_to(markdown.ROOT)) for page in pages]


@pytest.mark.parametrize("document", markdown.PAGES, ids=_names(markdown.PAGES))
def test_links_lead_to_files_and_headings_that_exist(document: Path) -> None:
    broken = []
    for link in markdown.links(document.read_text()):
        if link.startswith(("https://", "http://")):
            continue
        name, _hash, anchor = link.partition("#")
        target = (document.parent / name).resolve() if name else document
        if not target.exists() or (anchor and anchor not in markdown.anchors(target.read_text())):
            broken.append(link)
    assert broken == []


def test_every_page_and_picture_is_linked() -> None:
    linked = {
        (page.parent / link.partition("#")[0]).resolve()
        for page in markdown.PAGES
        for link in markdown.links(page.read_text())
    }
    docs = {path for path in (markdown.ROOT / "docs").iterdir() if path.is_file()}
    assert docs - linked == set()


def test_the_readme_is_short() -> None:
    assert len(README.read_text().splitlines()) <= MOST_LINES


def test_a_broken_link_is_found() -> None:
    text = "# The first hour\n[good](#the-first-hour) ![picture](no.png)\n```sh\necho '[not](a-link)'\n```\n"
    assert markdown.links(text) == ["#the-first-hour", "no.png"]
    assert markdown.anchors(text) == {"the-first-hour"}


@pytest.mark.parametrize("document", markdown.PAGES, ids=_names(markdown.PAGES))
def test_files_that_are_named_exist(document: Path) -> None:
    named = NAMED_FILE.findall(document.read_text())
    assert [path for path in named if not (markdown.ROOT / path).exists()] == []
