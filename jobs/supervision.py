"""Processes forked from this one: each has its name in `ps`, comes back when it ends or stands still, and ends with its
parent."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from ravada_web import beats
from ravada_web.beats import STILL_SECONDS, Board
from ravada_web.process import die_with, set_name

log = structlog.get_logger()
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SIGNALS = (*ENDING, signal.SIGCHLD)
# One that lived for so long was sound: when it ends, it is started again at once. One that ends again and again is
# given a pause that doubles each time.
SOUND_SECONDS = 10.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
# Where memory runs out, the kernel is to take a child before the parent, with which all would go.
OOM_SCORE, ADDED, MOST = Path("/proc/self/oom_score_adj"), 100, 1000
# What is asked to end is killed after so long.
STOP_SECONDS = 15.0
# The children are looked at that often. What stands still for so long is killed and started again, what has only just
# begun later.
LOOK_SECONDS, KILL_SECONDS, BEGIN_SECONDS = 1.0, 20.0, 60.0


@dataclass
class Child:
    """A process: its name, what it does, and what is known of it. `pid` is 0 while it does not run; times monotonic.

    `answers` is for a program that cannot say by itself that it goes on, and that the others wait for: it is asked.
    """

    name: str
    run: Callable[[], None]
    nice: int = 0
    answers: Callable[[], bool] | None = None
    pid: int = 0
    begun: float = 0.0
    due: float = 0.0
    pause: float = 0.0

    def start(self, board: Board | None = None) -> None:
        """Fork it, with its place on the board if it has one. Where the system has no room for one more, it is tried
        again like one that ended.

        This process must have no other threads now: what they hold stays locked in the child.
        """
        parent = os.getpid()
        self.begun = time.monotonic()
        try:
            self.pid = os.fork()
        except OSError as error:
            log.error("process not started, trying again", process=self.name, error=str(error))
            self._put_off()
            return
        if self.pid == 0:
            self._live(parent, board)

    def _live(self, parent: int, board: Board | None) -> None:
        code = 1
        try:
            die_with(parent)
            os.setpgid(0, 0)  # Ctrl-C in a terminal is for the parent alone, which ends all in order
            os.nice(self.nice)
            OOM_SCORE.write_text(str(min(MOST, int(OOM_SCORE.read_text()) + ADDED)))
            set_name(self.name)
            if board:
                beats.join(board, self.name)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            self.run()
            code = 0
        except SystemExit as ending:
            code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
        except BaseException:
            log.exception("process failed", process=self.name)
        finally:
            # Not by way of the parent's frames, which this process is a copy of.
            os._exit(code)

    def ended(self, status: int) -> None:
        """Record that it has ended, and when it is to be started again."""
        lived = time.monotonic() - self.begun
        if lived >= SOUND_SECONDS:
            self.pause = 0.0
        log.warning("process ended, starting it again", process=self.name, status=status, lived=round(lived, 1))
        self.pid = 0
        self._put_off()

    def _put_off(self) -> None:
        """Have it started after its pause, and the next time after a longer one."""
        self.due = time.monotonic() + self.pause
        self.pause = min(max(FIRST_PAUSE, 2 * self.pause), LONGEST_PAUSE)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs; a SIGKILL is for what it has started, too."""
        if self.pid:
            if number == signal.SIGKILL:
                with suppress(ProcessLookupError):  # it was only just forked
                    os.killpg(self.pid, number)
            os.kill(self.pid, number)


class Supervisor:
    """Runs children, started in the order of the stages that they come in, and stopped stage by stage from the last."""

    def __init__(self, stages: Sequence[Sequence[Child]], tell: Callable[[Sequence[str]], None] | None = None) -> None:
        """`tell` is called at each look with the names of those that stand still."""
        self._stages = stages
        self._children = [child for stage in stages for child in stage]
        self._board = Board([child.name for child in self._children])
        self._watch = Watch(self._children, self._board)
        self._tell = tell

    def run(self) -> None:
        """Keep all running until a signal to end comes, then end them; a second one kills those that take time."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        beats.join(self._board, beats.PARENT)
        look = 0.0
        while True:
            self._start_due()
            caught = _wait(look, *(child.due for child in self._children if not child.pid))
            if caught in ENDING:
                break
            for child, status in self._reaped():
                child.ended(status)
            if time.monotonic() >= look:
                look = time.monotonic() + LOOK_SECONDS
                self._look()
        for stage in reversed(self._stages):
            self._stop(stage)

    def _start_due(self) -> None:
        for child in self._children:
            if not child.pid and time.monotonic() >= child.due:
                child.start(self._board)

    def _look(self) -> None:
        """Kill what has stood still for long, to be started again as what ended by itself; tell who stands still."""
        beats.beat()
        for child in self._watch.look(time.monotonic()):
            log.error("process stands still, starting it again", process=child.name)
            child.signal(signal.SIGKILL)
        if self._tell:
            self._tell([process.name for process in self._board.processes() if process.still])

    def _reaped(self) -> Iterator[tuple[Child, int]]:
        by_pid = {child.pid: child for child in self._children if child.pid}
        while by_pid:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            if child := by_pid.pop(pid, None):
                yield child, os.waitstatus_to_exitcode(status)

    def _stop(self, stage: Sequence[Child]) -> None:
        for child in stage:
            child.signal(signal.SIGTERM)
        end = time.monotonic() + STOP_SECONDS
        while any(child.pid for child in stage):
            if _wait(end) != signal.SIGCHLD:
                for child in stage:
                    child.signal(signal.SIGKILL)
                end = time.monotonic() + 1
            for child, _status in self._reaped():
                child.pid = 0


class Watch:
    """Judges who stands still: who has not said for a while that it goes on, though it could have.

    Where this process itself, or what the others wait for, did not go on, theirs is counted from when it did again.
    """

    def __init__(self, children: Sequence[Child], board: Board) -> None:
        self._children, self._board = children, board
        self._looked = self._fair = 0.0

    def look(self, moment: float) -> list[Child]:
        """Mark who stands still now; returns those to be killed for it."""
        asked = [child for child in self._children if child.answers]
        for child in asked:
            if child.pid and child.answers and child.answers():
                self._board.beat(child.name)
        if moment - self._looked > STILL_SECONDS or not all(self._is_well(child, moment) for child in asked):
            self._fair = moment
        self._looked = moment
        return [child for child in self._children if child.pid and self._judge(child, moment)]

    def _is_well(self, child: Child, moment: float) -> bool:
        known = self._board.process(child.name)
        return known.beat > known.begun and moment - known.beat < STILL_SECONDS / 2

    def _judge(self, child: Child, moment: float) -> bool:
        known = self._board.process(child.name)
        silent = moment - (known.silent_since if child.answers else max(known.silent_since, self._fair))
        self._board.mark(child.name, silent > STILL_SECONDS)
        return silent > (KILL_SECONDS if known.beat > known.begun else BEGIN_SECONDS)


def _wait(*until: float) -> signal.Signals | None:
    """Wait for a signal, at most until the first of these moments of the monotonic clock."""
    caught = signal.sigtimedwait(SIGNALS, max(0.0, min(until) - time.monotonic()))
    return signal.Signals(caught.si_signo) if caught else None
