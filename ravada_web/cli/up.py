"""`flask up`: the whole product on this host, under one parent that starts, restarts and stops its processes."""

import os
import sys
from importlib import import_module
from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext

from ravada_web.cli import local_libvirt
from ravada_web.cli.common import OneLineCommand
from ravada_web.cli.setup import set_up
from ravada_web.config import Settings

ROOT = Path(__file__).resolve().parent.parent.parent


@click.command(cls=OneLineCommand)
@with_appcontext
def up() -> None:
    """Run everything on this host until Ctrl-C; runs `flask setup` first."""
    settings: Settings = current_app.extensions["settings"]
    os.chdir(ROOT)
    # The processes are the jobs' side of the product: found by name, as jobs are, and not imported from here.
    parent, preflight = import_module("jobs.parent"), import_module("jobs.preflight")
    with parent.alone(settings):
        preflight.require(settings)
        set_up()
        if settings.master == "local":
            local_libvirt.start()
            local_libvirt.ensure_pool_and_network()
        scheme = "https" if settings.tls_cert else "http"
        click.echo(f"Ravada Web is at {scheme}://{settings.host}:{settings.port}/  (Ctrl-C stops it)")
        sys.stdout.flush()
        parent.run(current_app._get_current_object())  # type: ignore[attr-defined]
