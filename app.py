"""The WSGI entry: `gunicorn app:app`; the `flask` command finds the application here, too."""

import gc
import sys

# What the imports make stays: the collector would look through it again and again, for a seventh of a command's time.
gc.disable()

from ravada_web import create_app  # noqa: E402
from ravada_web.errors import CannotRun  # noqa: E402

try:
    app = create_app()
except CannotRun as error:
    sys.exit(f"Error: {error}")
gc.freeze()
gc.enable()
