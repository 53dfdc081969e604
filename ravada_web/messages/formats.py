"""Numbers, sizes, times and lists as the reader's language writes them; pages and messages share them.

Outside of an application they are written as in English.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from babel import Locale
from babel.dates import format_datetime
from babel.lists import format_list
from babel.numbers import format_decimal, format_percent
from flask_babel import get_locale
from flask_babel import gettext as _

SIZES = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
ENGLISH = Locale("en")
# Numbers that are names: they are not grouped.
NAMES = {"id", "port", "status"}


def locale() -> Locale:
    """The reader's locale."""
    return get_locale() or ENGLISH


def number(value: float, digits: int = 2) -> str:
    """A number, grouped, with at most so many digits after the point: “1,234.5”."""
    return format_decimal(value, format=f"#,##0.{'#' * digits}" if digits else "#,##0", locale=locale())


def fixed(value: float, digits: int) -> str:
    """A number with just so many digits after the point, for columns: “2.00”."""
    return format_decimal(value, format=f"#,##0.{'0' * digits}", locale=locale())


def size(value: float) -> str:
    """Bytes in the largest unit that is full, rounded: “614.0 MiB”."""
    power = _power(value)
    digits = 0 if not power else 1
    return f"{fixed(value / 1024**power, digits) if digits else number(value, 0)} {SIZES[power]}"


def exact_size(value: int) -> str:
    """Bytes in the largest unit that shows all of them: “1.5 GiB”, but “3,001 MiB”."""
    power = _power(value)
    while power and value * 10 % 1024**power:
        power -= 1
    return f"{number(value / 1024**power, 1)} {SIZES[power]}"


def _power(value: float) -> int:
    power = 0
    while abs(value) >= 1024 ** (power + 1) and power < len(SIZES) - 1:
        power += 1
    return power


def seconds(value: float) -> str:
    """How long something took: “1.2 s”, “3 min 20 s”, “2 h 5 min”."""
    if value < 60:
        return _("%(seconds)s s", seconds=number(value, 1 if value < 10 else 0))
    minutes, rest = divmod(round(value), 60)
    if minutes >= 60:
        return _("%(hours)s h %(minutes)s min", hours=number(minutes // 60), minutes=minutes % 60)
    if not rest:
        return _("%(minutes)s min", minutes=minutes)
    return _("%(minutes)s min %(seconds)s s", minutes=minutes, seconds=rest)


def milliseconds(value: float) -> str:
    """“12 ms”."""
    return _("%(number)s ms", number=number(value, 0 if value >= 10 else 1))


def percent(value: float) -> str:
    """A share of a hundred: “80%”."""
    return format_percent(value / 100, locale=locale())


def moment(value: datetime | str) -> str:
    """A moment (or its ISO text) in UTC."""
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    shown = format_datetime(at.astimezone(UTC), "medium", locale=locale())
    return f"{shown} UTC"


def listed(items: Sequence[Any]) -> str:
    """“a, b, and c”."""
    return format_list([figure("", item) for item in items], locale=locale())


def clauses(items: Sequence[Any]) -> str:
    """Parts that have commas of their own: “a, b: one; c: another”."""
    return "; ".join(figure("", item) for item in items)


_UNITS: dict[str, Callable[[Any], str]] = {
    "mib": lambda value: exact_size(value << 20),
    "bytes": exact_size,
    "seconds": seconds,
    "ms": milliseconds,
    "percent": percent,
    "at": moment,
    "clauses": clauses,
}


def figure(name: str, value: Any) -> str:
    """A message's figure as it is shown; its name's last word is its unit. Never raises."""
    try:
        return _formatted(name.rpartition("_")[2], value)
    except (ArithmeticError, AttributeError, TypeError, ValueError):
        return str(value)


def _formatted(unit: str, value: Any) -> str:
    if value is None:
        return "–"
    if unit in _UNITS:
        return _UNITS[unit](value)
    if isinstance(value, bool) or unit in NAMES:
        return str(value)
    if isinstance(value, int | float):
        return number(value)
    return listed(value) if isinstance(value, list | tuple) else str(value)
