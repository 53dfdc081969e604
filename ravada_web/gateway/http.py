"""HTTP/1.1 as much as a door needs it: the heads of requests and responses, and short answers of its own."""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus

LONGEST_HEAD = 32 * 1024
HEAD_SECONDS = 10.0
# Somewhat more than the pages take (MAX_CONTENT_LENGTH): they say it in a better way where they can.
LARGEST_BODY = 4 * 1024 * 1024 + 64 * 1024
# What may differ from one hop to the next, or that we alone may say.
HOP = {"connection", "keep-alive", "proxy-connection", "te", "upgrade", "forwarded"}


class BadRequest(Exception):
    """What came is no request that we pass on; the text says why, `status` how it is answered."""

    def __init__(self, text: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True)
class Head:
    """The first line's three words and the header lines of a request or a response; `raw` as it came."""

    words: tuple[str, str, str]
    headers: tuple[tuple[str, str], ...]
    raw: bytes

    def get(self, name: str, default: str = "") -> str:
        """A header's value; several of one name are joined by commas."""
        values = [value for key, value in self.headers if key.lower() == name]
        return ", ".join(values) if values else default

    @property
    def path(self) -> str:
        """A request's path, without its query."""
        return self.words[1].partition("?")[0]

    @property
    def query(self) -> str:
        """A request's query, without the question mark."""
        return self.words[1].partition("?")[2]

    def length(self) -> int:
        """The body's bytes. Raises BadRequest for lengths that two servers could read differently."""
        if self.get("transfer-encoding"):
            raise BadRequest("Content-Length is required.", HTTPStatus.LENGTH_REQUIRED)
        lengths = {value.strip() for key, value in self.headers if key.lower() == "content-length"}
        if not lengths:
            return 0
        text = lengths.pop()
        if lengths or not (text.isascii() and text.isdecimal()):
            raise BadRequest("The length of the body is ambiguous.")
        if len(text) > 12 or int(text) > LARGEST_BODY:
            raise BadRequest("Requests are limited to 4 MiB.", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return int(text)

    def written(self, drop: set[str], add: tuple[tuple[str, str], ...]) -> bytes:
        """The head to pass on, without some headers and with others.

        A name with "_" reads like another one with "-" to a WSGI server, or like a variable of its own: none is passed.
        """
        headers = [(name, value) for name, value in self.headers if name.lower() not in drop and "_" not in name]
        lines = [" ".join(self.words).rstrip(), *(f"{name}: {value}" for name, value in (*headers, *add))]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def read_head(reader: asyncio.StreamReader, seconds: float, begun: bytes = b"") -> Head | None:
    """The next head, of which some may have been read; None when the other side is done, or it takes longer than that.

    Raises BadRequest.
    """
    try:
        async with asyncio.timeout(seconds):
            raw = begun + await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, TimeoutError, ConnectionError):
        return None
    except asyncio.LimitOverrunError as error:
        raise BadRequest("Headers too long.", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE) from error
    return parse(raw)


async def read_begin(reader: asyncio.StreamReader, seconds: float) -> bytes:
    """The first byte of the next head; none when the other side is done, or silent for so long."""
    try:
        async with asyncio.timeout(seconds):
            return await reader.read(1)
    except (TimeoutError, ConnectionError):
        return b""


def parse(raw: bytes) -> Head:
    """Read a head. Raises BadRequest for what is none, folded or repeated lines' tricks included."""
    first, *lines = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    words = first.split(" ", 2)
    if len(words) == 2:  # a response without a reason
        words.append("")
    if len(words) != 3 or "\n" in raw.decode("latin-1").replace("\r\n", "") or "\0" in first:
        raise BadRequest("Not an HTTP request.")
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or not all(letter.isalnum() or letter in "-_.!#$%&'*+^`|~" for letter in name):
            raise BadRequest("Invalid header.")
        headers.append((name, value.strip(" \t")))
    return Head((words[0], words[1], words[2]), tuple(headers), raw)


async def answer(
    writer: asyncio.StreamWriter, status: HTTPStatus, text: str, headers: tuple[tuple[str, str], ...] = ()
) -> None:
    """A short answer in plain words, after which the connection closes."""
    body = f"{text}\n".encode()
    head = Head(
        ("HTTP/1.1", str(status.value), status.phrase),
        (
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Connection", "close"),
            *headers,
        ),
        b"",
    )
    writer.write(head.written(set(), ()) + body)
    await writer.drain()
