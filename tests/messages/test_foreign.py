"""The door for what other programs say: typed, bounded, clean."""

import time

import pytest

from ravada_web.messages.foreign import (
    Nonsense,
    is_name,
    is_path,
    json_object,
    lines,
    names,
    printable,
    real,
    whole,
    word,
)


@pytest.mark.parametrize("said", [0, "0", b"17", "9223372036854775807", (1 << 63) - 1])
def test_whole_numbers(said: object) -> None:
    assert whole(said) == int(str(said, "ascii") if isinstance(said, bytes) else str(said))


@pytest.mark.parametrize(
    "said",
    ["", " 1", "-1", -1, "1.0", 1.0, "1e3", "0x10", "1_000", "٣", "²", "9" * 5000, 1 << 63, str(1 << 80), True, None,
     [1], b"\xff", "1\n", float("nan")],
)  # fmt: skip
def test_what_is_no_whole_number(said: object) -> None:
    with pytest.raises(Nonsense):
        whole(said)


def test_numbers_with_a_fraction() -> None:
    assert (real("0.25", 10), real(b"7", 10), real("7.", 10)) == (0.25, 7.0, 7.0)


@pytest.mark.parametrize(
    "said", ["nan", "-inf", "inf", "1e5", "-0.1", "11", "1_0", "٣.٣", "9" * 5000, "", ".5", None, 1.0]
)
def test_what_is_no_number(said: object) -> None:
    with pytest.raises(Nonsense):
        real(said, 10)


@pytest.mark.parametrize("said", ["default", "a b", "ISO\u00a0files", "ñandú", "x" * 255, "名前", "a:b"])
def test_names(said: str) -> None:
    assert is_name(said)


@pytest.mark.parametrize(
    "said", ["", "x" * 256, "a\0b", "a\x1b[31m", "\ud800", "a\nb", "a\u202eb", "a\u2066b", "\x9b1m"]
)
def test_what_is_no_name(said: str) -> None:
    assert not is_name(said)


def test_lists_of_names_are_bounded_and_without_what_is_none() -> None:
    assert names(["b", "a", "b", None, "", "\0"], 9) == ("a", "b")
    assert len(names((f"n{number}" for number in range(100)), 7)) == 7


def test_paths_are_kept_as_they_are_or_not_at_all() -> None:
    for path in ("/a", "/tab\there", "/line\nend", "/no\u00a0break"):
        assert is_path(path)
    for path in ("", "a", "/a\0b", "/\ud800", "/" + "x" * 4095, "/" + "ñ" * 2048):
        assert not is_path(path)


def test_words() -> None:
    assert (word("x86_64"), word("pc-q35-7.2"), word("' or", "none"), word(None), word("a" * 65)) == (
        "x86_64", "pc-q35-7.2", "none", "", ""
    )  # fmt: skip


@pytest.mark.parametrize("said", ["[]", "7", "{", "[" * 100_000, '{"a":' * 100_000, "NaN", ""])
def test_what_is_no_object_in_json(said: str) -> None:
    with pytest.raises(ValueError):
        json_object(said)


def test_the_end_of_endless_words_is_shown() -> None:
    shown = printable(b"\x1b[2J" * (1 << 22) + "the e\u202end\ud800".encode(errors="surrogatepass"))
    assert "the e nd" in shown and shown.isprintable() and len(shown) <= 501


def test_lines_are_cut() -> None:
    assert lines(b"abc\nd\n", 2) == ["ab", "d", ""]


@pytest.mark.clock
def test_the_end_of_much_output_takes_no_time() -> None:
    started = time.monotonic()
    printable(b"x" * (64 << 20))
    assert time.monotonic() - started < 5
