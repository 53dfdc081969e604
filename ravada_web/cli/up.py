"""`flask up`: the whole product on this host, under one parent that starts, restarts and stops its processes."""

import os
import sys
from importlib import import_module

import click
from flask import current_app
from flask.cli import with_appcontext

from ravada_web import ROOT
from ravada_web.cli import local_libvirt
from ravada_web.cli.common import RootCommand
from ravada_web.cli.setup import set_up
from ravada_web.config import Settings


@click.command(cls=RootCommand)
@with_appcontext
def up() -> None:
    """Run everything on this host until Ctrl-C; runs `flask setup` first."""
    settings: Settings = current_app.extensions["settings"]
    os.chdir(ROOT)
    # The processes are the jobs' side of the product: found by name, as jobs are, and not imported from here.
    parent, preflight, accounts = map(import_module, ("jobs.parent", "jobs.preflight", "jobs.accounts"))
    with parent.alone(settings):
        preflight.require(settings)
        if settings.master == "local":
            local_libvirt.start()
            local_libvirt.ensure_pool_and_network()
        present = accounts.prepare(settings)
        with present.acting():
            set_up()
        scheme = "https" if settings.tls_cert else "http"
        click.echo(f"Ravada Web is at {scheme}://{settings.host}:{settings.port}/  (Ctrl-C stops it)")
        sys.stdout.flush()
        parent.run(current_app._get_current_object(), present)  # type: ignore[attr-defined]
