"""The command line, without the second that each `python -m flask` takes to load the product: a process that has loaded
it forks for each command. What is read at a start, settings and application, each command reads anew.

Run as `python -m tests.support.command_line FD`, it is that process, asked over the socket FD.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from functools import cache

from flask.cli import cli

from ravada_web import ROOT

# A request, the environment in it: far below what the socket takes.
REQUEST_BYTES = 1 << 17


def flask(*arguments: str, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run `flask ARGUMENTS` in the product's folder, with nothing on its standard input."""
    ours, theirs = os.pipe()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err, os.fdopen(ours) as status:
        try:
            request = json.dumps({"arguments": arguments, "environment": dict(environment)}).encode()
            socket.send_fds(_loaded(), [request], [out.fileno(), err.fileno(), theirs])
        finally:
            os.close(theirs)
        # To its end, which is that of the process; nothing where it was killed.
        code = int(status.read() or -signal.SIGKILL)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(["flask", *arguments], code, out.read(), err.read())


@cache
def _loaded() -> socket.socket:
    """Where the process is asked; started at the first command, it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = [sys.executable, "-m", "tests.support.command_line", str(theirs.fileno())]
        process = subprocess.Popen(command, cwd=ROOT, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)

    def end() -> None:
        ours.close()
        process.kill()
        process.wait()

    atexit.register(end)
    return ours


def serve(asked: socket.socket) -> None:
    """Fork for each request, until nobody asks any more."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        request, passed, _flags, _address = socket.recv_fds(asked, REQUEST_BYTES, 3)
        if not request:
            return
        if os.fork() == 0:
            asked.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _become(**json.loads(request), passed=passed)
        for each in passed:
            os.close(each)


def _become(arguments: list[str], environment: dict[str, str], passed: list[int]) -> None:
    """Be `flask` with these arguments; tell the exit code, and end."""
    out, err, status = passed
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["flask", *arguments]
    code = 1  # of an exception that nobody catches
    try:
        cli.main(prog_name="flask")
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        raise
    finally:
        os.write(status, str(code).encode())


if __name__ == "__main__":
    from importlib import import_module

    # All that making the application imports, and no application: it is made of the command's own settings.
    for room in ("cli", "web", "services.audit.chain", "services.operations.outbox"):
        import_module(f"ravada_web.{room}")
    serve(socket.socket(fileno=int(sys.argv[1])))
