"""The periodic work, one entry each: what the ticker queues, and how often."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ravada_web.config import Settings
from ravada_web.services.audit import refusals
from ravada_web.services.bases import replicas
from ravada_web.services.clones import remake_work, shutdown_watch
from ravada_web.services.clones.shutdown_watch import MARK_SECONDS
from ravada_web.services.consoles import screenshot_work
from ravada_web.services.lifecycle import host_power_work, rest_work, waking_work
from ravada_web.services.monitoring import notifications
from ravada_web.services.monitoring.rounds import Rounds
from ravada_web.services.moves import move_work, plan_work, rebalancing_rules
from ravada_web.services.operations.outbox import queue as queue_of
from ravada_web.services.placements import reserve
from ravada_web.services.storage import leftovers, usage

# The coarser samples are made of the finest that often, each time the last two of every step.
THIN_SECONDS = 240.0
NOTIFY_SECONDS = 3.0
COUNT_SECONDS = 30.0
REFUSED_SECONDS = 15.0
LOOK_SECONDS = 1.0
REMAKE_SECONDS = 2.0
RESERVE_SECONDS = 10.0
POWER_SECONDS, POWER_TTL = 2.0, 4.0
# Old rows go to the archive that often, for about a second each time.
ROWS_SECONDS = 60.0


@dataclass(frozen=True)
class Periodic:
    """Work that is queued periodically.

    Every `every` seconds `due` is asked for the arguments of the jobs to queue now, ids alone. RQ drops a job that was
    not begun within `ttl` seconds, and the next one does its work; it is killed after `timeout` seconds.
    """

    name: str
    every: float
    due: Callable[[], Sequence[Sequence[int]]]
    job: str
    queue: str
    ttl: float
    timeout: int

    def enqueue(self, *ids: int) -> None:
        """Queue one job, which leaves nothing when it is done."""
        ttl = max(1, int(self.ttl))
        queue_of(self.queue).enqueue(
            self.job, args=ids, ttl=ttl, job_timeout=self.timeout, result_ttl=0, failure_ttl=3600
        )


def periodic_work(settings: Settings) -> list[Periodic]:
    """Returns all of it, for these settings."""
    check, picture = settings.check_interval, settings.picture_interval
    rounds = Rounds(check)
    return [
        Periodic("checks", rounds.pause, rounds.due, "jobs.nodes.check", "checks", 2 * check, 60),
        Periodic("screenshots", picture, screenshot_work.due, "jobs.clones.screenshots", "default", picture, 60),
        Periodic("notifications", NOTIFY_SECONDS, _notifications, "jobs.alerts.notify", "checks", NOTIFY_SECONDS, 90),
        Periodic("refusals", REFUSED_SECONDS, _refusals, "jobs.audit.write_refusals", "default", REFUSED_SECONDS, 60),
        Periodic("thinning", THIN_SECONDS, _always, "jobs.nodes.thin", "default", THIN_SECONDS, 120),
        Periodic("shutdowns", LOOK_SECONDS, shutdown_watch.due, "jobs.clones.watch", "checks", MARK_SECONDS, 30),
        Periodic("host power", POWER_SECONDS, host_power_work.due, "jobs.nodes.watch_power", "setup", POWER_TTL, 60),
        Periodic("waking", POWER_SECONDS, waking_work.due, "jobs.nodes.watch_wake", "setup", POWER_TTL, 60),
        Periodic(
            "made again", REMAKE_SECONDS, remake_work.due, "jobs.clones.place_waiting", "checks", REMAKE_SECONDS, 60
        ),
        Periodic("plans", LOOK_SECONDS, plan_work.due, "jobs.moves.go_on_with_plans", "checks", REMAKE_SECONDS, 60),
        Periodic("moves", REMAKE_SECONDS, move_work.due, "jobs.moves.go_on", "checks", REMAKE_SECONDS, 60),
        Periodic(
            "replicas",
            replicas.SETTLE_SECONDS,
            replicas.due,
            "jobs.bases.settle",
            "default",
            replicas.SETTLE_SECONDS,
            60,
        ),
        Periodic(
            "leftovers",
            leftovers.SWEEP_SECONDS,
            leftovers.due,
            "jobs.nodes.sweep",
            "default",
            leftovers.SWEEP_SECONDS,
            300,
        ),
        Periodic("reserve", RESERVE_SECONDS, reserve.due, "jobs.nodes.count_reserve", "default", RESERVE_SECONDS, 60),
        Periodic(
            "balance",
            rebalancing_rules.LOOK_SECONDS,
            rebalancing_rules.due,
            "jobs.moves.look_at_balance",
            "default",
            rebalancing_rules.LOOK_SECONDS,
            120,
        ),
        Periodic(
            "rests",
            rest_work.LOOK_SECONDS,
            rest_work.due,
            "jobs.nodes.look_at_rests",
            "default",
            rest_work.LOOK_SECONDS,
            120,
        ),
        Periodic(
            "rest steps",
            rest_work.STEP_SECONDS,
            rest_work.steps_due,
            "jobs.nodes.go_on_with_rests",
            "checks",
            rest_work.STEP_SECONDS,
            60,
        ),
        Periodic("rows", ROWS_SECONDS, _always, "jobs.rows.thin", "default", ROWS_SECONDS, 120),
        Periodic("counts", COUNT_SECONDS, usage.due, "jobs.nodes.count", "default", usage.COUNTED_SECONDS, 300),
    ]


# One job without arguments.
_ONE: Sequence[Sequence[int]] = ((),)


def _always() -> Sequence[Sequence[int]]:
    return _ONE


def _notifications() -> Sequence[Sequence[int]]:
    return _ONE if notifications.is_due() else ()


def _refusals() -> Sequence[Sequence[int]]:
    return _ONE if refusals.waiting() else ()
