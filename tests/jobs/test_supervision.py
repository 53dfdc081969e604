"""Supervision where the system is short of what it takes."""

import subprocess
import sys
from pathlib import Path

from tests.support.cluster import ROOT
from tests.support.servers import wait_until

# A supervisor of one process, whose first two forks the system refuses.
SHORT_OF_PROCESSES = """
import os, pathlib, sys, threading
from jobs.supervision import Child, Supervisor

fork, refusals = os.fork, iter([True, True])

def fork_where_there_is_room():
    if next(refusals, False):
        raise BlockingIOError(11, "Resource temporarily unavailable")
    return fork()

def work():
    pathlib.Path(sys.argv[1]).touch()
    threading.Event().wait()

os.fork = fork_where_there_is_room
Supervisor([[Child("work", work)]]).run()
"""


def test_a_process_that_cannot_be_forked_is_tried_again(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    supervisor = subprocess.Popen([sys.executable, "-c", SHORT_OF_PROCESSES, begun], cwd=ROOT)
    try:
        wait_until(begun.exists, 10, "the process runs")
    finally:
        supervisor.terminate()
        assert supervisor.wait(10) == 0
