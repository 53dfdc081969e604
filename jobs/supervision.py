"""Processes forked from this one: each has its name in `ps`, comes back when it ends, and ends with its parent."""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

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


@dataclass
class Child:
    """A process: its name, what it does, and what is known of it. `pid` is 0 while it does not run; times monotonic."""

    name: str
    run: Callable[[], None]
    nice: int = 0
    pid: int = 0
    begun: float = 0.0
    due: float = 0.0
    pause: float = 0.0

    def start(self) -> None:
        """Fork it; where the system has no room for one more, it is tried again like one that ended.

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
            self._live(parent)

    def _live(self, parent: int) -> None:
        code = 1
        try:
            die_with(parent)
            os.setpgid(0, 0)  # Ctrl-C in a terminal is for the parent alone, which ends all in order
            os.nice(self.nice)
            OOM_SCORE.write_text(str(min(MOST, int(OOM_SCORE.read_text()) + ADDED)))
            set_name(self.name)
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

    def __init__(self, stages: Sequence[Sequence[Child]]) -> None:
        self._stages = stages
        self._children = [child for stage in stages for child in stage]

    def run(self) -> None:
        """Keep all running until a signal to end comes, then end them; a second one kills those that take time."""
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        while True:
            self._start_due()
            caught = _wait(min((child.due for child in self._children if not child.pid), default=None))
            if caught in ENDING:
                break
            for child, status in self._reaped():
                child.ended(status)
        for stage in reversed(self._stages):
            self._stop(stage)

    def _start_due(self) -> None:
        for child in self._children:
            if not child.pid and time.monotonic() >= child.due:
                child.start()

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


def _wait(until: float | None) -> signal.Signals | None:
    """Wait for a signal, at most until that moment of the monotonic clock."""
    if until is None:
        return signal.Signals(signal.sigwaitinfo(SIGNALS).si_signo)
    caught = signal.sigtimedwait(SIGNALS, max(0.0, until - time.monotonic()))
    return signal.Signals(caught.si_signo) if caught else None
