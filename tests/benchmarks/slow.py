"""Thousands of connections that say next to nothing: `python -m tests.benchmarks.slow PORT`, ended by its parent.

They come from 50 loopback addresses. A third are silent, a third send a head, and a third a form, a byte a second; who
is turned out comes again a second later. Says "all" once every one has come.
"""

import asyncio
import os
import resource
import socket
import sys
from contextlib import closing, suppress

CONNECTIONS, ADDRESSES = 5000, 50
COMING_A_SECOND = 1000
SAID = (
    b"",
    b"GET /login HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    b"Content-Length: 2000\r\n\r\nname=",
)
came = 0


async def slow(port: int, number: int) -> None:
    """One of them, again and again."""
    await asyncio.sleep(number / COMING_A_SECOND)
    while True:
        with suppress(OSError):
            await _stay(port, number)
        await asyncio.sleep(1)


async def _stay(port: int, number: int) -> None:
    """One connection, until it is turned out."""
    global came
    said = SAID[number % len(SAID)]
    plug = socket.socket()
    with closing(plug):
        plug.setblocking(False)
        plug.bind((f"127.90.0.{number % ADDRESSES + 1}", 0))
        await asyncio.get_running_loop().sock_connect(plug, ("127.0.0.1", port))
        came += 1
        reader, writer = await asyncio.open_connection(sock=plug)
        writer.write(said)
        while not reader.at_eof() and not writer.is_closing():
            await asyncio.sleep(1)
            if said:
                writer.write(b"x")
        writer.transport.abort()


async def crowd(port: int) -> None:
    """All of them, without end."""
    async with asyncio.TaskGroup() as group:
        for number in range(CONNECTIONS):
            group.create_task(slow(port, number))
        while came < CONNECTIONS:
            await asyncio.sleep(0.1)
        print("all", flush=True)


if __name__ == "__main__":
    # In truth they are elsewhere: they are not to take the product's cores.
    os.setpriority(os.PRIO_PROCESS, 0, 19)
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    asyncio.run(crowd(int(sys.argv[1])))
