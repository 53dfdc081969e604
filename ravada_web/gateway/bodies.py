"""Bodies of requests: taken in whole, at no less than some speed, in memory or, where large, in a temporary file."""

import asyncio
import tempfile
from collections.abc import Callable
from http import HTTPStatus
from typing import IO

from ravada_web.gateway.http import BadRequest, Head

CHUNK = 64 * 1024
# Whoever gives or takes less than this, beyond a grace for pauses, is not waited for: 64 kbit/s, as by a bad telephone.
BYTES_A_SECOND = 8 * 1024
GRACE_SECONDS = 10.0
# Forms for people who are not signed in are short.
LARGEST_OF_GUEST = 256 * 1024


def seconds_for(size: int) -> float:
    """How long so many bytes may take to come or go."""
    return GRACE_SECONDS + size / BYTES_A_SECOND


async def read_body(
    head: Head, length: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: Callable[[int], None]
) -> IO[bytes]:
    """The whole body, to be read from its start and closed; `kept` is told how much of it is here.

    Raises BadRequest where it does not come in time, or cannot be kept.
    """
    if length and head.get("expect").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = tempfile.SpooledTemporaryFile(CHUNK)  # noqa: SIM115  closed by who reads it
    try:
        await _fill(body, length, reader, kept)
    except BaseException:
        body.close()
        raise
    body.seek(0)
    return body


async def _fill(body: IO[bytes], length: int, reader: asyncio.StreamReader, kept: Callable[[int], None]) -> None:
    begun, size = asyncio.get_running_loop().time(), 0
    while size < length:
        try:
            async with asyncio.timeout_at(begun + seconds_for(size)):
                part = await reader.read(min(CHUNK, length - size))
        except TimeoutError:
            raise BadRequest("The request took too long.", HTTPStatus.REQUEST_TIMEOUT) from None
        if not part:
            raise ConnectionResetError
        size += len(part)
        kept(size)
        try:
            body.write(part)
        except OSError as error:
            raise BadRequest("The server's disk is full.", HTTPStatus.INSUFFICIENT_STORAGE) from error
