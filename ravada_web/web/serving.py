"""gunicorn's settings for the pages: `gunicorn --config python:ravada_web.web.serving app:app`.

A page is a few tens of milliseconds of one core and waits for nobody: the gateway takes requests and answers at the
browsers' pace. So there are two processes a core, and each takes the next request only when it has a thread for it. The
second thread is for what is long: an export that is larger than what the gateway keeps goes at its browser's pace.
"""

import gc
import os
from typing import Any

from sqlalchemy.orm import configure_mappers

workers = max(4, min(16, 2 * (os.cpu_count() or 1)))
worker_class, threads, worker_connections = "gthread", 2, 2
# The gateway opens a connection for each request.
keepalive = 0
preload_app = True
control_socket_disable = True


def when_ready(server: Any) -> None:
    """Do once, before the processes are forked, what each would do at its first pages: mapping and templates."""
    app = server.app.wsgi()
    configure_mappers()
    for name in app.jinja_env.list_templates(extensions=["html"]):
        app.jinja_env.get_template(name)
    # What is there now stays: the collector need not look at it again, nor touch its pages in each process.
    gc.collect()
    gc.freeze()
    # A page of a list makes and drops some ten thousand objects, hardly any in cycles: the collector's usual 700 would
    # have it look a dozen times a page, for a tenth of the page's time.
    gc.set_threshold(20_000, 20, 50)
