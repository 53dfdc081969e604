"""What other programs say: hostile, so it is bounded and made printable before it becomes a figure."""

LONGEST_TAIL = 500


def printable(raw: bytes | str) -> str:
    """The end of a program's output as one line, safe to log and to show: control characters become spaces."""
    text = raw.decode(errors="replace") if isinstance(raw, bytes) else raw
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= LONGEST_TAIL else "…" + line[-LONGEST_TAIL:]
