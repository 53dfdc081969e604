"""The product whose workers take two jobs more, both of which wait for ever: for tests of what becomes of such a job.

`FLASK_APP=tests.support.more_jobs flask up` runs all of it, `python -m tests.support.more_jobs QUEUE` one worker.
"""

import sys

from jobs import listed, worker
from ravada_web import create_app

_ours = listed.names
listed.names = lambda: _ours() | {"time.sleep", "tests.support.hanging.hang"}  # type: ignore[assignment]

if __name__ == "__main__":
    worker.run(create_app(), sys.argv[1:])
