"""The ticker: one ticks however many run, and another takes over when it is gone."""

import pytest
from flask import Flask
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import select

from jobs.periodic import Periodic
from jobs.ticker import LOCK_SECONDS, Ticker, Turn
from ravada_web.config import Settings
from ravada_web.extensions import db, log_kept, queues
from ravada_web.models import Event, Node, Operation, OperationState
from ravada_web.services.operations import sweep
from ravada_web.services.operations.outbox import queue
from ravada_web.services.transaction import transaction
from tests.support.factories import change, make_nodes
from tests.support.installation import Installation
from tests.support.servers import wait_until


def checks() -> list[tuple[int, ...]]:
    return [tuple(job.args) for job in queue("checks").get_jobs()]


def test_only_the_holder_of_the_lock_ticks_and_another_takes_over(app: Flask, settings: Settings) -> None:
    make_nodes(1)
    first, second = Ticker(settings), Ticker(settings)
    first.tick()
    second.tick()
    assert len(checks()) == 1
    first.release()
    second.tick()
    assert len(checks()) == 2


def test_a_ticker_that_died_is_replaced_once_its_lock_runs_out(app: Flask, settings: Settings) -> None:
    make_nodes(1)
    rarely = settings.model_copy(update={"check_interval": 60})
    Ticker(rarely).tick()
    second = Ticker(rarely)

    def took_over() -> bool:
        second.tick()
        return len(checks()) == 2

    wait_until(took_over, LOCK_SECONDS + 2, "the second ticker ticks")


def test_work_that_fails_keeps_no_other_from_its_turn(app: Flask, settings: Settings) -> None:
    make_nodes(1)
    ticker = Ticker(settings)

    def break_down() -> list[tuple[int, ...]]:
        raise ValueError("an odd row")

    ticker._turns.insert(0, Turn(Periodic("odd", 1.0, break_down, "jobs.nodes.thin", "default", 1.0, 1)))
    ticker.tick()
    assert len(checks()) == 1


def test_an_operation_of_an_unknown_kind_fails_by_itself_and_the_sweep_goes_on(app: Flask, settings: Settings) -> None:
    make_nodes(1)
    with transaction() as session:
        odd = Operation(kind="of a newer version", title="Odd", params={}, state=OperationState.RUNNING, worker="a:b:c")
        lost = Operation(kind="alert_test", title="Lost", params={}, state=OperationState.RUNNING, worker="x")
        session.add_all([odd, lost])
    ticker = Ticker(settings)
    ticker.tick()
    odd, lost = db.session.scalars(select(Operation).order_by(Operation.id))
    assert (odd.state, lost.state, lost.attempt) == (OperationState.FAILED, OperationState.WAITING, 2)
    assert "KeyError" in str(odd.error)
    assert len(checks()) == 1
    assert db.session.scalars(select(Event.action).where(Event.object_kind == "operation")).all() == ["give_up"]


def test_a_tick_without_redis_is_skipped_and_the_next_one_works(
    app: Flask, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_nodes(1)
    ticker = Ticker(settings)
    with monkeypatch.context() as away:

        def gone(_self: sweep.Sweep) -> int:
            raise RedisConnectionError("away")

        away.setattr(sweep.Sweep, "run", gone)
        ticker.tick()
    assert checks() == []
    ticker.tick()
    assert len(checks()) == 1
    assert queues.redis.ping()


def test_while_it_runs_no_transaction_waits_for_the_disk(settings: Settings, installation: Installation) -> None:
    log = settings.data / "ravada.sqlite-wal"
    with installation.application().app_context():
        make_nodes(1)
        db.session.remove()
        assert not log.exists(), "the last connection that closes folds the log in"
        with log_kept():
            for _time in range(2):
                change(Node, notes="seen")
                db.session.remove()
                assert log.exists()
        assert not log.exists()


def test_a_database_that_is_away_does_not_keep_it_from_starting(app: Flask, settings: Settings) -> None:
    db.session.remove()
    (settings.data / "ravada.sqlite").rename(settings.data / "elsewhere")
    (settings.data / "ravada.sqlite").mkdir()
    with log_kept():
        pass
