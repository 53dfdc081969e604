"""gunicorn's settings for the pages: `gunicorn --config python:ravada_web.web.serving app:app`.

A page is a few tens of milliseconds of one core and waits for nobody: the gateway takes requests and answers at the
browsers' pace. So each process has one request at a time, and is asked for the next when it is idle.
"""

import gc
import os
from typing import Any

from sqlalchemy.orm import configure_mappers

workers = max(4, min(16, 2 * (os.cpu_count() or 1)))
# The gateway gives an answer as long.
timeout = 120
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
