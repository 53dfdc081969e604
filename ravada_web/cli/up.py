"""`flask up`: the whole product on this host under supervisord, which starts, restarts and stops its processes."""

import io
import os
import sys
from configparser import RawConfigParser
from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext

from ravada_web.cli import local_libvirt
from ravada_web.config import Settings

ROOT = Path(__file__).resolve().parent.parent.parent


def programs(settings: Settings) -> dict[str, str]:
    """The processes and their commands; Redis and the web first, one process of each queue that must never wait.

    Checks come after pages: a round of hundreds of nodes takes most of a core.
    """
    python = sys.executable
    web = f"unix:{settings.run_dir}/web.sock"
    return {
        "redis": f"redis-server --port 0 --unixsocket {settings.run_dir}/redis.sock --unixsocketperm 700 "
        f"--dir {settings.data} --save '' --appendonly no --loglevel warning",
        "web": f"{python} -m gunicorn --config python:ravada_web.web.serving --bind {web} app:app",
        "gateway": f"{python} -m ravada_web.gateway",
        "links": f"{python} -m jobs.links",
        "ticker": f"{python} -m jobs.ticker",
        "interactive": f"{python} -m jobs.worker interactive",
        "checks": f"nice -n 10 {python} -m jobs.worker checks",
        "default": f"{python} -m jobs.worker default",
        "bulk": f"{python} -m jobs.worker bulk",
    }


# Checks of nodes that hang must not hold up the others'; three builds at a time keep two cores busy.
PROCESSES = {"checks": 2, "default": 3}


def configuration(settings: Settings) -> str:
    """supervisord's configuration for these settings; everything logs to this process's standard output."""
    parser = RawConfigParser()
    run = settings.run_dir
    parser["supervisord"] = {
        "nodaemon": "true",
        "silent": "false",
        "loglevel": "warn",
        "logfile": "/dev/null",
        "logfile_maxbytes": "0",
        "pidfile": str(run / "supervisord.pid"),
        "directory": str(ROOT),
        "user": "root" if os.geteuid() == 0 else str(os.getuid()),
    }
    parser["unix_http_server"] = {"file": str(run / "supervisor.sock"), "chmod": "0700"}
    parser["rpcinterface:supervisor"] = {
        "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
    }
    parser["supervisorctl"] = {"serverurl": f"unix://{run / 'supervisor.sock'}"}
    for priority, (name, command) in enumerate(programs(settings).items()):
        parser[f"program:{name}"] = _program(name, command, priority)
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()


def _program(name: str, command: str, priority: int) -> dict[str, str]:
    return {
        # supervisord expands %(…)s in commands.
        "command": command.replace("%", "%%"),
        "numprocs": str(PROCESSES.get(name, 1)),
        "process_name": "%(program_name)s-%(process_num)d",
        "priority": str(priority),
        "autorestart": "true",
        "startsecs": "0",
        "startretries": "1000000",
        "stopwaitsecs": "15",
        "stopasgroup": "false",
        "killasgroup": "true",
        "redirect_stderr": "true",
        "stdout_logfile": "/dev/fd/1",
        "stdout_logfile_maxbytes": "0",
    }


@click.command()
@with_appcontext
def up() -> None:
    """Run the whole product here until Ctrl-C; run `flask setup` first."""
    settings: Settings = current_app.extensions["settings"]
    if settings.master == "local":
        local_libvirt.start()
        local_libvirt.ensure_pool_and_network()
    path = settings.run_dir / "supervisord.conf"
    path.write_text(configuration(settings))
    path.chmod(0o600)
    environment = os.environ | {"RAVADA_DATA": str(settings.data)}
    click.echo(f"Ravada Web is at http://{settings.host}:{settings.port}/  (Ctrl-C stops it)")
    sys.stdout.flush()
    os.execve(  # noqa: S606  no shell is wanted
        sys.executable, [sys.executable, "-m", "supervisor.supervisord", "-c", str(path)], environment
    )
