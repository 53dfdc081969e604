"""Responses are compressed, where the browser supports it; static files are compressed once in a process and kept."""

from pathlib import Path

from flask import Flask, Request, Response, current_app, request
from flask_compress import Compress
from werkzeug.utils import safe_join

# Brotli's level: a page of 50 kB takes about a millisecond, and the stylesheet a tenth of its size.
LEVEL = 5
SMALLEST = 700
TEXTS = ["text/html", "text/css", "text/plain", "text/javascript", "application/json", "image/svg+xml"]


class StaticFiles:
    """What Flask-Compress keeps its work in: static files, by the moment of their change; a page never stays."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        """The compressed file; None for a page, which is compressed each time."""
        return self._kept.get(key)

    def set(self, key: str, value: bytes) -> None:
        """Keep a file; one that changed takes the place of what it was."""
        path = key.rpartition("@")[0]
        if path:
            for former in list(self._kept):
                if former.rpartition("@")[0] == path and former != key:
                    self._kept.pop(former, None)
            self._kept[key] = value


def init_app(app: Flask) -> None:
    """Compress texts of more than a few hundred bytes; pictures, streams and parts of files go as they are."""
    app.config.update(
        COMPRESS_ALGORITHM=["br", "gzip"],
        COMPRESS_BR_LEVEL=LEVEL,
        COMPRESS_LEVEL=LEVEL,
        COMPRESS_MIN_SIZE=SMALLEST,
        COMPRESS_MIMETYPES=TEXTS,
        COMPRESS_STREAMS=False,
        COMPRESS_CACHE_BACKEND=StaticFiles,
        COMPRESS_CACHE_KEY=_key,
    )
    Compress(app)
    # Flask runs these in the reverse order: the file is at hand before it is compressed.
    app.after_request(_read_whole_file)


def _key(http_request: Request) -> str:
    """`path@changed` of a static file; "" for a page, which is not to be kept."""
    if http_request.endpoint != "static":
        return ""
    name = (http_request.view_args or {})["filename"]
    path = safe_join(str(current_app.static_folder), name)
    return f"{name}@{Path(path).stat().st_mtime_ns}" if path else ""


def _read_whole_file(response: Response) -> Response:
    """A static text file is read here, not streamed, so that its compressed form can be kept and has a length."""
    if request.endpoint == "static" and response.status_code == 200 and response.mimetype in TEXTS:
        response.direct_passthrough = False
        response.get_data()
    return response
