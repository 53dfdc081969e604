"""Numbers, sizes, times and lists, in English and in another language."""

from datetime import UTC, datetime

import pytest
from flask import Flask
from flask_babel import force_locale

from ravada_web.messages import formats


@pytest.mark.parametrize(
    ("name", "value", "english", "spanish"),
    [
        ("count", 12345, "12,345", "12.345"),
        ("load", 0.256, "0.26", "0,26"),
        ("port", 12345, "12345", "12345"),
        ("free_mib", 512, "512 MiB", "512 MiB"),
        ("free_mib", 1536, "1.5 GiB", "1,5 GiB"),
        ("free_mib", 50_000, "50,000 MiB", "50.000 MiB"),
        ("mib", 0, "0 B", "0 B"),
        ("read_bytes", 123, "123 B", "123 B"),
        ("read_bytes", 1 << 40, "1 TiB", "1 TiB"),
        ("wait_seconds", 0.5, "0.5 s", "0,5 s"),
        ("wait_seconds", 120, "2 min", "2 min"),
        ("seconds", 200, "3 min 20 s", "3 min 20 s"),
        ("seconds", 7500, "2 h 5 min", "2 h 5 min"),
        ("ssh_ms", 4.26, "4.3 ms", "4,3 ms"),
        ("used_percent", 80, "80%", "80\xa0%"),
        ("seen_at", "2026-11-27T03:04:05+01:00", "Nov 27, 2026, 2:04:05\u202fAM UTC", "27 nov 2026, 2:04:05 UTC"),
        ("nodes", ["a", "b", "c"], "a, b, and c", "a, b y c"),
        ("sure", True, "True", "True"),
        ("limit", None, "–", "–"),
        ("free_mib", "much", "much", "much"),
        ("seen_at", "yesterday", "yesterday", "yesterday"),
    ],
)
def test_a_figure_is_written_by_its_unit(app: Flask, name: str, value: object, english: str, spanish: str) -> None:
    assert formats.figure(name, value) == english
    with force_locale("es"):
        assert formats.figure(name, value) == spanish


def test_a_moment_is_written_in_utc() -> None:
    assert formats.moment(datetime(2026, 1, 2, 13, 4, 5, tzinfo=UTC)) == "Jan 2, 2026, 1:04:05\u202fPM UTC"


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "0 B"), (1023, "1,023 B"), (643_825_664, "614.0 MiB"), (2 << 30, "2.0 GiB"), (1 << 62, "4,096.0 PiB")],
)
def test_a_size_is_rounded(value: int, written: str) -> None:
    assert formats.size(value) == written
