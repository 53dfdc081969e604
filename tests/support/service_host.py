"""A host on which the product is installed: by `make run` on a fresh clone, then as docs/production.md says, by the
commands of those pages.

In a lab's network there is no registry: pip takes its files, with the same hashes, from a folder.
"""

import subprocess
from pathlib import Path

from ravada_web import ROOT
from tests.docs import markdown
from tests.lab.booted import BootedHost
from tests.lab.wheels import wheels

WHEELS, SOURCE, PLACE, TRIED = "/srv/wheels", "/srv/ravada-web.git", "/opt/ravada-web", "/srv/tried"
# Debian's own Python comes first, and no pip.conf of this machine counts.
OFFLINE = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "PIP_CONFIG_FILE": "/dev/null",
    "PIP_NO_INDEX": "1",
    "PIP_FIND_LINKS": WHEELS,
}


def commands(heading: str) -> list[str]:
    """The commands of that section of docs/production.md, block by block."""
    page = (ROOT / "docs" / "production.md").read_text()
    section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return markdown.code(section, "sh")


def prepare(host: BootedHost) -> None:
    """Lay out what the commands need and cannot fetch: the repository, and what pip installs. Before it starts.

    Raises FileNotFoundError where `python -m tests.lab.wheels` has not been run.
    """
    if not wheels().is_dir():
        raise FileNotFoundError(f"{wheels()}: python -m tests.lab.wheels fetches it")
    place = host.folder / SOURCE.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "clone", "--quiet", "--bare", "--depth=1", f"file://{ROOT}", str(place)], check=True)
    for name in ("passwd", "group", "shadow", "gshadow"):
        _without_ours(host.folder / "etc" / name)
    host.bind(wheels(), WHEELS)


def _without_ours(accounts: Path) -> None:
    """Take the product's own users out of a file: this machine may have them of other tests."""
    kept = [line for line in accounts.read_text().splitlines(keepends=True) if not line.startswith("ravada")]
    accounts.write_text("".join(kept))


def make_run(host: BootedHost, unit: str) -> None:
    """Run the README's `make run` on a fresh clone, as a unit of systemd: it installs the product, and runs it."""
    host.run(["git", "clone", "--quiet", SOURCE, PLACE])
    environment = [f"--setenv={name}={value}" for name, value in OFFLINE.items()]
    place = f"--working-directory={PLACE}"
    host.run(
        ["systemd-run", "--quiet", f"--unit={unit}", "--property=KillMode=mixed", place, *environment, "make", "run"]
    )


def put_aside(host: BootedHost) -> None:
    """Keep what was installed, since that takes its time; what it ran on is another place."""
    host.run(["mv", PLACE, TRIED])


def install(host: BootedHost) -> str:
    """Run the page's commands, with the virtual environment that `make` has made before; returns what they said."""
    told = commands("Installation")[0].replace("<this repository>", SOURCE)
    kept = f"mv {TRIED}/.venv .venv && touch .venv/installed && make .venv/installed"
    return host.run(["sh", "-exc", told.replace("make .venv/installed", kept)]).stdout


def install_workers(host: BootedHost) -> None:
    """Make it a host that has workers alone, by the page's commands, on the first host's keys and database. What runs
    on two hosts is one after another here, on one; in place of PostgreSQL it has a copy of the file."""
    first, data = "/srv/first", "/var/lib/ravada-web"
    host.run(["mv", data, first])
    fetching, *told = commands("Workers on more hosts")[0].splitlines()
    assert fetching.startswith("git clone")
    host.run(["sh", "-exc", "\n".join([f"cd {PLACE}", *told])])
    shared = " ".join(f"{first}/{name}" for name in ("secret_key", "ssh", "database", "ravada.sqlite"))
    host.run(["sh", "-exc", f"cp -a {shared} {data}; chown -R ravada-work: {data}; chmod -R go= {data}"])
    address = "redis://127.0.0.1:6380/0"
    with (host.folder / "etc/ravada-web.env").open("a") as settings:
        settings.write(f"RAVADA_REDIS_URL={address}\nRAVADA_MASTER=ssh\n")
    queue = ["redis-server", "--port", "6380", "--bind", "127.0.0.1", "--save", ""]
    host.run(["systemd-run", "--quiet", "--unit=queue", *queue])
    host.run(["sh", "-exc", commands("Workers on more hosts")[1]])
