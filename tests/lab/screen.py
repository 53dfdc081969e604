"""Reading a guest's text screen from a screenshot, by the glyphs that the guest itself shows as an alphabet."""

import io
import tempfile
from pathlib import Path

from PIL import Image

from tests.lab.guest import ALPHABET
from tests.lab.node import LabNode

# VGA text mode 3: 80 by 25 cells of 9 by 16 points.
CELL = (9, 16)
Glyph = bytes


def screenshot(node: LabNode, domain: str) -> bytes:
    """A running domain's screen, in whatever format its QEMU makes."""
    with tempfile.TemporaryDirectory(dir=node.folder / "root") as folder:
        inside = f"/root/{Path(folder).name}/screen"
        node.run(["virsh", "-q", "screenshot", domain, inside])
        shot = Path(folder) / "screen"
        return shot.read_bytes()


def read_screen(picture: bytes) -> list[str]:
    """The lines on the screen; [] until the alphabet is there. A glyph that is not in it reads as "?"."""
    rows = _cells(picture)
    blank = bytes(len(rows[0][0])) if rows else b""
    for row in rows:
        shown = [glyph for glyph in row[: len(ALPHABET)] if glyph != blank]
        if len(set(shown)) == len(ALPHABET) and all(glyph == blank for glyph in row[len(ALPHABET) :]):
            table = dict(zip(row, ALPHABET, strict=False)) | {blank: " "}
            return ["".join(table.get(glyph, "?") for glyph in line).rstrip() for line in rows]
    return []


def _cells(picture: bytes) -> list[list[Glyph]]:
    """The screen's cells, each as its points lit or not."""
    with Image.open(io.BytesIO(picture)) as opened:
        image = opened.convert("L").point(lambda light: 1 if light else 0)
    width, height = image.size
    lit = image.tobytes()
    across, down = CELL
    return [
        [
            b"".join(lit[(top + y) * width + left : (top + y) * width + left + across] for y in range(down))
            for left in range(0, width - across + 1, across)
        ]
        for top in range(0, height - down + 1, down)
    ]
