"""docs/architecture.md shows the rooms of services that are there, in the layers that import-linter checks."""

import re
import tomllib

from tests.docs import markdown

SERVICES = markdown.ROOT / "ravada_web" / "services"
PAGE = (markdown.ROOT / "docs" / "architecture.md").read_text().partition("### Rooms of services")[2]


def _layers() -> list[list[str]]:
    """The layers of the contract on services, the upper ones first."""
    project = tomllib.loads((markdown.ROOT / "pyproject.toml").read_text())
    contracts = project["tool"]["importlinter"]["contracts"]
    (layers,) = [one["layers"] for one in contracts if one.get("containers") == ["ravada_web.services"]]
    return [layer.split(" | ") for layer in layers]


def _drawn(picture: str) -> list[list[str]]:
    """The layers of a Mermaid picture: rooms in a row are joined by ~~~, layers by arrows."""
    found = re.findall(r"subgraph (\w+) .*?LR\s+([\w ~]+)\n", picture, re.DOTALL)
    groups = {name: rooms.split(" ~~~ ") for name, rooms in found}
    arrows = next(line for line in picture.splitlines() if "-->" in line)
    return [groups.get(name, [name]) for name in arrows.strip().split(" --> ")]


def test_the_picture_shows_the_layers_of_the_contract() -> None:
    assert _drawn(markdown.code(PAGE, "mermaid")[0]) == _layers()


def test_every_room_is_in_the_table() -> None:
    rooms = {path.parent.name for path in SERVICES.glob("*/__init__.py")}
    named = {row[0].strip("`") for row in markdown.rows(PAGE.partition("## Processes")[0])}
    assert named == rooms
