"""Random answers: how many are tried, and what they are made of."""

import os
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st

# In all, over all fuzz tests: `make fuzz` tries a million, each time others.
TOTAL = int(os.environ.get("RAVADA_FUZZ", "10000"))
ODD = (
    "", " ", "0", "-1", "7", "nan", "-inf", "1e999", "0x10", "1_000", "9" * 5000, str((1 << 63) - 1), str(1 << 63),
    str(1 << 80), "٣", "²", "1.5", "1.", "..", "%s", "\x1b[31mred", "a\u202eb", "x" * 300, "ñ", "/", "/pool", "/a:b",
    "' or '1", "&amp;", "{", "[" * 3000, "true", "no\nnewline",
)  # fmt: skip
figures = st.sampled_from(ODD) | st.text(max_size=4) | st.integers(-5, 1 << 70).map(str)
BYTES = [*(each.encode() for each in ODD), b"\0", b"\n", b" ", b"=", b"\xff\xfe", b"\xed\xa0\x80", b"\x1b[2J"]


def fuzzed(share: float) -> settings:
    """How one fuzz test runs that has this share of all examples: in CI the same ones each time."""
    again = "RAVADA_FUZZ" not in os.environ
    return settings(
        settings.get_profile("patient"), max_examples=max(1, int(TOTAL * share)), derandomize=again, database=None
    )


def soup(*pieces: bytes) -> st.SearchStrategy[bytes]:
    """Answers of these pieces, odd figures and a few bytes between them."""
    piece = st.sampled_from([*pieces, *pieces, *BYTES])
    return st.tuples(st.lists(piece, max_size=10), st.binary(max_size=3)).map(
        lambda parts: b"".join((*parts[0], parts[1]))
    )


def spoilt(answer: str, *values: str, escape: Callable[[str], str] = str) -> st.SearchStrategy[str]:
    """The answer with these values in the places of its "{}", of which one or two are odd."""
    places = st.tuples(st.integers(0, len(values) - 1), figures, st.integers(0, len(values) - 1), figures)

    def fill(odd: tuple[int, str, int, str]) -> str:
        said = [*values]
        said[odd[0]], said[odd[2]] = odd[1], odd[3]
        return answer.format(*map(escape, said))

    return places.map(fill)
