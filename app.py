"""The WSGI entry: `gunicorn app:app`; the `flask` command finds the application here, too."""

import sys

from ravada_web import create_app
from ravada_web.errors import CannotRun

try:
    app = create_app()
except CannotRun as error:
    sys.exit(f"Error: {error}")
