"""What a node says is read in one place for each kind: no other reads XML, JSON, or numbers of it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = [*(ROOT / "ravada_web/remote").rglob("*.py"), *(ROOT / "ravada_web/hypervisor").rglob("*.py")]
ALL = [path for room in ("ravada_web", "jobs") for path in (ROOT / room).rglob("*.py")]
XML = {"fromstring", "XMLParser", "iterparse", "XML", "XMLPullParser", "parseString", "fromstringlist", "XMLID"}


def called(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            yield name, node.lineno


def offenders(paths: list[Path], names: set[str]) -> list[str]:
    return sorted(
        f"{path.relative_to(ROOT)}:{line} {name}" for path in paths for name, line in called(path) if name in names
    )


def test_xml_is_parsed_in_one_place() -> None:
    assert {each.partition(":")[0] for each in offenders(ALL, XML)} == {"ravada_web/hypervisor/tree.py"}


@pytest.mark.parametrize("library", ["lxml", "minidom", "expat", "sax", "xmltodict", "html.parser"])
def test_no_other_parser_is_used(library: str) -> None:
    assert [
        str(path) for path in ALL if f"import {library}" in path.read_text() or f".{library}" in path.read_text()
    ] == []


def test_numbers_and_json_of_nodes_are_read_by_the_door() -> None:
    assert ROOMS and offenders(ROOMS, {"int", "float", "loads", "literal_eval", "eval"}) == []
