"""How values are written on pages: moments, sizes, shares, states."""

import math
from datetime import UTC, datetime, timedelta

from babel.dates import format_datetime
from flask import Flask, g
from markupsafe import Markup, escape

from ravada_web.clock import age
from ravada_web.messages import formats
from ravada_web.messages.placement import stored_reason
from ravada_web.models import now
from ravada_web.services.monitoring import alerts, standstill
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations import listing as operation_list
from ravada_web.services.operations import outbox, workers
from ravada_web.services.operations.waiting import Waiting
from ravada_web.services.permissions import rights
from ravada_web.services.storage import pools
from ravada_web.web import labels
from ravada_web.web.finding import places
from ravada_web.web.htmx import browser_path, here
from ravada_web.web.rendering import say as _


def init_app(app: Flask) -> None:
    """Give the templates these filters and functions."""
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(
        ago=ago,
        browser=browser,
        bytesize=bytesize,
        duration=duration,
        exactly=formats.moment,
        clock_time=clock_time,
        day=day,
        fixed=formats.fixed,
        number=formats.number,
        fingerprint=endpoints.fingerprint,
        level=pools.level,
        mib=mib,
        moment=moment,
        percent=percent,
        percentage=formats.percent,
        place=place,
        why=stored_reason,
    )
    app.jinja_env.globals.update(
        here=here,
        browser_path=browser_path,
        now=now,
        alarm=alerts.summary,
        standing_still=standstill.parts,
        server_disk=standstill.disk,
        can=rights.can,
        places=places,
        labels=labels,
        summary=operation_list.summary,
        queue_up=outbox.queue_reachable,
        unserved=workers.unserved,
        live_since=lambda: g.get("live_since", 0),
    )


def ago(moment: datetime | None) -> str:
    """A moment as “3 min ago”, the exact time in its title; times.js keeps it fresh, with the reader's own clock. How
    long ago one in the future was is unknown."""
    if moment is None:
        return _("never")
    exact = moment.strftime("%Y-%m-%d %H:%M:%S UTC")
    passed = age(moment)
    if passed is None:
        return Markup('<span title="{}">{}</span>').format(exact, _("unknown"))
    text = escape(_distance(round(passed.total_seconds(), 1)))
    return Markup(f'<time datetime="{moment.isoformat()}" title="{exact}">{text}</time>')  # noqa: S704  escaped


def _distance(seconds: float) -> str:
    """So many seconds ago, in the largest unit that is full."""
    if seconds < 1:
        return _("just now")
    units = ((86400, _("d")), (3600, _("h")), (60, _("min")), (1, _("s")))
    size, unit = next(pair for pair in units if seconds >= pair[0])
    return _("%(span)s ago", span=f"{int(seconds // size)} {unit}")


def clock_time(moment: datetime) -> str:
    """A moment by this server's clock, with the day of the week."""
    return format_datetime(moment.astimezone(), "EEE d MMM, HH:mm", locale=formats.locale())


def day(moment: datetime) -> str:
    """The day of a moment by this server's clock."""
    return format_datetime(moment.astimezone(), "EEEE d MMMM", locale=formats.locale())


def duration(time: timedelta) -> str:
    """How long something took, as “1.2 s” or “3 min 20 s”."""
    return formats.seconds(time.total_seconds())


def moment(seconds: float) -> datetime:
    """Seconds since the epoch as a moment."""
    return datetime.fromtimestamp(seconds, UTC)


def place(waiting: Waiting) -> str:
    """Where a waiting operation stands, and about how long it takes to its turn."""
    sentences = []
    if waiting.position is not None:
        sentences.append(_("Position %(position)s in the queue.", position=waiting.position))
    if waiting.seconds is not None:
        sentences.append(_("Starts in about %(time)s.", time=formats.seconds(about(waiting.seconds))))
    return " ".join(sentences)


# An estimate says no more than it knows: up to each of these seconds it is rounded up to the steps behind it.
STEPS = ((20, 5), (60, 10), (600, 60), (3600, 300), (math.inf, 1800))


def about(seconds: float) -> int:
    """An estimate, rounded up as far as an estimate can be known; never 0."""
    step = next(step for most, step in STEPS if seconds <= most)
    return max(1, math.ceil(seconds / step)) * step


def browser(agent: str) -> str:
    """A browser's own long name in two words, as “Firefox on Linux”."""
    names = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrom", "Chrome"), ("Safari", "Safari"))
    systems = (
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
    )
    name = next((name for mark, name in names if mark in agent), "")
    system = next((name for mark, name in (*systems, ("Linux", "Linux")) if mark in agent), "")
    if name and system:
        return _("%(browser)s on %(system)s", browser=name, system=system)
    return name or agent[:40] or _("unknown")


def mib(value: int | None) -> str:
    """MiB as “1.5 GiB”."""
    return "–" if value is None else bytesize(value << 20)


def bytesize(value: int | None) -> str:
    """Bytes as “614.0 MiB”."""
    return "–" if value is None else formats.size(value)


def percent(part: float | None, whole: float | None = 1.0) -> int | None:
    """The share from 0 to 100, or None where it is not known."""
    if part is None or not whole:
        return None
    return max(0, min(100, round(100 * part / whole)))
