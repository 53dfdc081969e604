"""Reading a guest's text screen from a screenshot, by the glyphs that the guest itself shows as an alphabet."""

import tempfile
from pathlib import Path

from tests.lab.guest import ALPHABET
from tests.lab.node import LabNode

# VGA text mode 3: 80 by 25 cells of 9 by 16 points.
CELL = (9, 16)
Glyph = bytes


def screenshot(node: LabNode, domain: str) -> bytes:
    """A running domain's screen as a portable pixmap."""
    with tempfile.TemporaryDirectory(dir=node.folder / "root") as folder:
        inside = f"/root/{Path(folder).name}/screen"
        node.run(["virsh", "-q", "screenshot", domain, inside])
        shot = Path(folder) / "screen"
        data = shot.read_bytes()
    if not data.startswith(b"P6"):
        raise ValueError(f"not a portable pixmap but {data[:8]!r}")
    return data


def read_screen(ppm: bytes) -> list[str]:
    """The lines on the screen; [] until the alphabet is there. A glyph that is not in it reads as "?"."""
    rows = _cells(ppm)
    blank = bytes(len(rows[0][0])) if rows else b""
    for row in rows:
        shown = [glyph for glyph in row[: len(ALPHABET)] if glyph != blank]
        if len(set(shown)) == len(ALPHABET) and all(glyph == blank for glyph in row[len(ALPHABET) :]):
            table = dict(zip(row, ALPHABET, strict=False)) | {blank: " "}
            return ["".join(table.get(glyph, "?") for glyph in line).rstrip() for line in rows]
    return []


def _cells(ppm: bytes) -> list[list[Glyph]]:
    """The screen's cells, each as its points lit or not."""
    header, size, _depth, points = ppm.split(b"\n", 3) if ppm.count(b"\n", 0, 40) >= 3 else (b"", b"0 0", b"", b"")
    width, height = map(int, size.split())
    lit = bytes(any(points[at : at + 3]) for at in range(0, width * height * 3, 3))
    across, down = CELL
    return [
        [
            b"".join(lit[(top + y) * width + left : (top + y) * width + left + across] for y in range(down))
            for left in range(0, width - across + 1, across)
        ]
        for top in range(0, height - down + 1, down)
    ]
