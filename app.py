"""The WSGI entry: `gunicorn app:app`."""

from ravada_web import create_app

app = create_app()
