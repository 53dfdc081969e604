"""Passing requests on to the web process, one connection each; a web process that restarts is waited for."""

import asyncio
import time
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from ravada_web.gateway.http import HOP, Head, answer, read_head

CHUNK = 64 * 1024
# How long a restart of the web process may take before its visitors are told.
RESTART_SECONDS = 10.0
ANSWER_SECONDS = 120.0
# Who asks is ours to say: what a browser claims of itself is dropped.
CLAIMS = {"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-forwarded-prefix"}


@dataclass(frozen=True)
class Caller:
    """Who asks: the browser's address and whether it came by HTTPS ("https" or "http")."""

    address: str
    scheme: str


async def pass_on(
    head: Head, caller: Caller, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, web: Path
) -> bool:
    """Have the web process answer one request. Answers whether the browser's connection can serve another one."""
    length = head.length()
    try:
        up_reader, up_writer = await _connect(web)
    except OSError:
        await answer(
            writer, HTTPStatus.SERVICE_UNAVAILABLE, "The pages are not running. Try again in a moment.",
            (("Retry-After", "5"),),
        )  # fmt: skip
        return False
    try:
        added = (("X-Forwarded-For", caller.address), ("X-Forwarded-Proto", caller.scheme), ("Connection", "close"))
        up_writer.write(head.written(HOP | CLAIMS, added))
        body = asyncio.create_task(_send_body(reader, up_writer, length))
        try:
            keep = head.words[2] == "HTTP/1.1" and "close" not in head.get("connection").lower()
            whole = await _bring_back(head, up_reader, writer, keep)
            return whole and keep and body.done() and body.exception() is None
        finally:
            body.cancel()
    finally:
        up_writer.close()


async def _connect(web: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    end = time.monotonic() + RESTART_SECONDS
    while True:
        try:
            return await asyncio.open_unix_connection(str(web), limit=CHUNK)
        except OSError:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.1)


async def _send_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, length: int) -> None:
    while length:
        part = await reader.read(min(CHUNK, length))
        if not part:
            raise ConnectionResetError
        length -= len(part)
        writer.write(part)
        await writer.drain()


async def _bring_back(request: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, keep: bool) -> bool:
    """Copy the answer; True when it came whole and the browser can tell where it ended."""
    head = await read_head(reader, ANSWER_SECONDS)
    while head is not None and head.words[1].startswith("1"):  # 100 Continue
        writer.write(head.raw)
        head = await read_head(reader, ANSWER_SECONDS)
    if head is None:
        await answer(writer, HTTPStatus.BAD_GATEWAY, "The pages broke off. Try again.")
        return False
    bodiless = request.words[0] == "HEAD" or head.words[1] in ("204", "304")
    chunked, said = head.get("transfer-encoding").lower() == "chunked", head.get("content-length")
    framed = bodiless or chunked or said.isdecimal()
    connection = () if keep and framed else (("Connection", "close"),)
    writer.write(head.written({"connection", "keep-alive"}, connection))
    copied, tail = 0, b""
    while part := await reader.read(CHUNK):
        copied, tail = copied + len(part), (tail + part)[-5:]
        writer.write(part)
        await writer.drain()
    await writer.drain()
    whole = bodiless or (tail == b"0\r\n\r\n" if chunked else copied == int(said) if said.isdecimal() else True)
    if not whole:
        writer.transport.abort()  # never let half an answer pass for a whole one
    return whole and framed
