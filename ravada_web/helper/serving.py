"""The helper at work: whoever may ask is answered, a command for each connection, and has libvirt by another one."""

import asyncio
import json
import os
import signal
import socket
import struct
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import structlog

from ravada_web import beats
from ravada_web.helper import displays
from ravada_web.helper.places import KNOWN_SECONDS, Askers, Places
from ravada_web.helper.requests import LONGEST_REQUEST, Refused, Request, parse
from ravada_web.hypervisor.connection import socket_uri
from ravada_web.remote.commands import GRACE_SECONDS, IN_ENGLISH
from ravada_web.remote.helper import REFUSED
from ravada_web.remote.target import COMMANDS, LIBVIRT, LIBVIRT_SOCKET
from ravada_web.remote.verbs import DISPLAY

log = structlog.get_logger()
# Who connects says what it wants at once; so many may be under way, of commands and of connections to libvirt each.
REQUEST_SECONDS, MOST_AT_ONCE = 5.0, 256
# Paths are looked at in threads: file systems hang.
MOST_THREADS = 32
BEAT_SECONDS, RETRY_SECONDS, RETRIES = 1.0, 0.05, 60
BLOCK = 65536
# Standard input, output and error.
DESCRIPTORS = 3
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
_CREDENTIALS = struct.Struct("3i")


class Helper:
    """What is known while it serves: who may ask for what, and where libvirt is."""

    def __init__(self, places: Places, askers: Askers, libvirt: str) -> None:
        self._places, self._askers, self._libvirt = places, askers, libvirt
        self._under_way: dict[str, set[asyncio.Task[None]]] = {COMMANDS: set(), LIBVIRT: set()}

    async def serve(self, doors: Mapping[str, socket.socket]) -> None:
        """Serve at these sockets, by their names, until SIGTERM."""
        stopped = asyncio.Event()
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(MOST_THREADS))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        work = [
            asyncio.create_task(_beat()),
            asyncio.create_task(self._keep_known()),
            asyncio.create_task(self._accept(COMMANDS, doors[COMMANDS], self._answer)),
            asyncio.create_task(self._accept(LIBVIRT, doors[LIBVIRT], self._relay)),
        ]
        await asyncio.wait({asyncio.create_task(stopped.wait()), *work}, return_when=asyncio.FIRST_COMPLETED)
        for door in doors.values():
            door.close()
        for task in [*work, *(each for tasks in self._under_way.values() for each in tasks)]:
            task.cancel()
        await asyncio.wait(asyncio.all_tasks() - {asyncio.current_task()}, timeout=REQUEST_SECONDS)

    async def _keep_known(self) -> None:
        while True:
            await asyncio.to_thread(self._places.refresh)
            await asyncio.sleep(KNOWN_SECONDS)

    async def _accept(self, name: str, door: socket.socket, answer: Callable[[socket.socket], Awaitable[None]]) -> None:
        loop, tasks = asyncio.get_running_loop(), self._under_way[name]
        while True:
            try:
                plug, _address = await loop.sock_accept(door)
            except OSError as error:  # no more descriptors, for now
                log.warning("connection not taken", error=str(error))
                await asyncio.sleep(RETRY_SECONDS)
                continue
            plug.setblocking(False)
            _pid, uid, _gid = _CREDENTIALS.unpack(
                plug.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
            )
            if uid not in self._askers.uids or len(tasks) >= MOST_AT_ONCE:
                log.warning("connection refused", uid=uid, under_way=len(tasks))
                plug.close()
                continue
            task = asyncio.create_task(_closing(plug, answer(plug)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _answer(self, plug: socket.socket) -> None:
        """Do what is asked, and say how it ended."""
        descriptors: list[int] = []
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                if not (raw := await _received(plug, descriptors)):
                    return  # it was only looked whether somebody is here
                request = parse(raw)
            call = await asyncio.to_thread(self._places.checked, request.call)
            if call.verb is DISPLAY:
                display = await asyncio.to_thread(displays.connect, call[0])
                with display:
                    socket.send_fds(plug, [b"{}\n"], [display.fileno()])
                return
            if len(descriptors) != DESCRIPTORS:
                raise Refused("a command has an input, an output and an error output")
            status = await _run(Request(call, request.seconds), descriptors, plug)
        except (Refused, OSError, TimeoutError) as error:
            log.warning("request refused", why=str(error))
            status = REFUSED
            if len(descriptors) == DESCRIPTORS:
                with suppress(OSError):
                    os.set_blocking(descriptors[-1], False)
                    os.write(descriptors[-1], f"{error}\n".encode(errors="replace"))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        await asyncio.get_running_loop().sock_sendall(plug, json.dumps({"status": status}).encode() + b"\n")

    async def _relay(self, plug: socket.socket) -> None:
        """Pass on what is said between libvirt and who has connected, until one of them has had enough."""
        with await _reached(self._libvirt) as far:
            ways = [asyncio.create_task(_pass_on(plug, far)), asyncio.create_task(_pass_on(far, plug))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.wait(ways)


async def _beat() -> None:
    """Say that the loop goes on."""
    while True:
        beats.beat()
        await asyncio.sleep(BEAT_SECONDS)


async def _closing(plug: socket.socket, work: Awaitable[None]) -> None:
    with plug, suppress(OSError):
        await work


def _listening(path: Path, user: int) -> socket.socket:
    """A socket there that is the user's, in place of one that was left."""
    door = socket.socket(socket.AF_UNIX)
    path.unlink(missing_ok=True)
    door.bind(str(path))
    os.chown(path, user, -1, follow_symlinks=False)
    door.listen(MOST_AT_ONCE)
    door.setblocking(False)
    return door


async def _readable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


async def _received(plug: socket.socket, descriptors: list[int]) -> bytes:
    """A request's line, nothing where none is made; what is sent along is added to `descriptors`. Raises Refused."""
    raw = b""
    while not raw.endswith(b"\n"):
        await _readable(plug.fileno())
        flags = socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT
        try:
            block, beside, _flags, _address = socket.recv_fds(plug, BLOCK, DESCRIPTORS + 1, flags)
        except BlockingIOError:
            continue
        descriptors += beside
        raw += block
        if not raw:
            break
        if not block or len(raw) > LONGEST_REQUEST or len(descriptors) > DESCRIPTORS:
            raise Refused("half a request, or one without end")
    return raw


async def _run(request: Request, descriptors: list[int], plug: socket.socket) -> int:
    """Run the command until it ends, its time is over, or nobody waits for it any more; returns its status."""
    stdin, stdout, stderr = descriptors
    process = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", *IN_ENGLISH, *request.call],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        cwd=Path("/"),
        env=ENVIRONMENT,
        process_group=0,
        umask=0o022,
    )
    while descriptors:
        os.close(descriptors.pop())  # or who reads the output would wait for its end
    watched = os.pidfd_open(process.pid)
    waits = [asyncio.create_task(_readable(watched)), asyncio.create_task(_readable(plug.fileno()))]
    limit = None if request.seconds is None else request.seconds + GRACE_SECONDS
    try:
        await asyncio.wait(waits, timeout=limit, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.wait(waits)
        os.close(watched)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            await asyncio.to_thread(process.wait)
    return process.returncode


async def _reached(path: str) -> socket.socket:
    """A connection to libvirt. Raises OSError where it does not take one."""
    far = socket.socket(socket.AF_UNIX)
    try:
        far.setblocking(False)
        for left in reversed(range(RETRIES)):
            try:
                far.connect(path)
                break
            except BlockingIOError:  # others wait before us
                if not left:
                    raise
                await asyncio.sleep(RETRY_SECONDS)
    except BaseException:
        far.close()
        raise
    return far


async def _pass_on(source: socket.socket, dest: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while block := await loop.sock_recv(source, BLOCK):
        await loop.sock_sendall(dest, block)


def run(folder: Path, user: int, uri: str = "") -> None:
    """Serve at sockets in this folder, for that user alone beside root, until told to stop. Libvirt is asked by the way
    that the user has, or at `uri`."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o755)
    # It is root's alone, whoever has put it there; a link is not gone through.
    made = os.open(folder, os.O_DIRECTORY | os.O_NOFOLLOW)
    os.fchown(made, os.geteuid(), os.getegid())
    os.fchmod(made, 0o755)
    os.close(made)
    mask = os.umask(0o177)
    doors = {name: _listening(folder / name, user) for name in (COMMANDS, LIBVIRT)}
    os.umask(mask)
    askers = Askers(frozenset({user, os.geteuid()}))
    places = Places(uri or socket_uri(folder / LIBVIRT), askers)
    asyncio.run(Helper(places, askers, LIBVIRT_SOCKET).serve(doors))
