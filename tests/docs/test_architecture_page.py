"""docs/architecture.md shows the rooms of services that are there, in the layers that import-linter checks."""

import re
import tomllib

import pytest

from tests.docs import markdown

PRODUCT = markdown.ROOT / "ravada_web"
PAGE = (markdown.ROOT / "docs" / "architecture.md").read_text()
SERVICES_PART = PAGE.partition("### Rooms of services")[2].partition("## Processes")[0]


def _layers(of_services: bool) -> list[list[str]]:
    """The layers of the contract on services, or of the one on all rooms; the upper ones first."""
    project = tomllib.loads((markdown.ROOT / "pyproject.toml").read_text())
    contracts = [one for one in project["tool"]["importlinter"]["contracts"] if one["type"] == "layers"]
    (layers,) = [one["layers"] for one in contracts if ("containers" in one) == of_services]
    return [[room.removeprefix("ravada_web.") for room in layer.split(" | ")] for layer in layers]


def _drawn(picture: str) -> list[list[str]]:
    """The layers of a Mermaid picture: rooms in a row are joined by ~~~, layers by arrows."""
    found = re.findall(r"subgraph (\w+) .*?LR\s+([\w ~]+)\n", picture, re.DOTALL)
    groups = {name: rooms.split(" ~~~ ") for name, rooms in found}
    arrows = next(line for line in picture.splitlines() if "-->" in line)
    return [groups.get(name, [name]) for name in arrows.strip().split(" --> ")]


def test_the_pictures_show_the_layers_of_the_contracts() -> None:
    all_rooms, services, *_processes = markdown.code(PAGE, "mermaid")
    assert _drawn(all_rooms) == _layers(of_services=False)
    assert _drawn(services) == _layers(of_services=True)


def test_every_room_of_services_is_in_the_table() -> None:
    rooms = {path.parent.name for path in (PRODUCT / "services").glob("*/__init__.py")}
    assert {row[0].strip("`") for row in markdown.rows(SERVICES_PART)} == rooms


@pytest.mark.parametrize("name", ["README.md", "docs/architecture.md"])
def test_the_map_names_every_folder(name: str) -> None:
    (block,) = [block for block in markdown.code((markdown.ROOT / name).read_text(), "") if "ravada_web/" in block]
    named = {folder for line in block.splitlines() for folder in re.findall(r"([a-z_]+)/ ", f"{line} ")}
    there = {path.name for top in (markdown.ROOT, PRODUCT) for path in top.iterdir() if path.is_dir()}
    assert named - there == set()
    assert {path.parent.name for path in PRODUCT.glob("*/__init__.py")} - named == set()
