"""A host on which the product is installed as docs/production.md says, by its own commands.

Python's packages come from this machine, for Debian's own Python: in a lab's network there is no registry.
"""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from ravada_web import ROOT
from tests.docs import markdown
from tests.lab.booted import BootedHost

PYTHON, PACKAGES, SOURCE, VENV = "/usr/bin/python3", "/opt/packages", "/srv/ravada-web.git", "/srv/venv"
PLACE = "/opt/ravada-web"


def commands(heading: str) -> str:
    """The first commands of that section of docs/production.md."""
    page = (ROOT / "docs" / "production.md").read_text()
    section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return markdown.code(section, "sh")[0]


def prepare(host: BootedHost) -> None:
    """Lay out what the commands need and cannot fetch: the repository, and a virtual environment. Before it starts."""
    for folder in (SOURCE, VENV):
        (host.folder / folder.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
    place = host.folder / SOURCE.lstrip("/")
    subprocess.run(["git", "clone", "--quiet", "--bare", "--depth=1", f"file://{ROOT}", str(place)], check=True)
    for name in ("passwd", "group", "shadow", "gshadow"):
        _without_ours(host.folder / "etc" / name)
    host.bind(Path(sysconfig.get_path("purelib")), PACKAGES)


def _without_ours(accounts: Path) -> None:
    """Take the product's own users out of a file: this machine may have them of other tests."""
    kept = [line for line in accounts.read_text().splitlines(keepends=True) if not line.startswith("ravada")]
    accounts.write_text("".join(kept))


def make_venv(host: BootedHost) -> None:
    """A virtual environment with this machine's packages, and the one program that the service starts."""
    host.run([PYTHON, "-m", "venv", "--without-pip", VENV])
    venv = host.folder / VENV.lstrip("/")
    (packages,) = venv.glob("lib/python*/site-packages")
    assert packages.parent.name == Path(sysconfig.get_path("stdlib")).name, (
        "this machine's packages are for Debian's Python"
    )
    shutil.rmtree(packages)
    packages.symlink_to(PACKAGES)
    flask = (Path(sys.prefix) / "bin" / "flask").read_text().partition("\n")[2]
    (venv / "bin" / "flask").write_text(f"#!{PLACE}/.venv/bin/python\n{flask}")
    (venv / "bin" / "flask").chmod(0o755)


def install(host: BootedHost) -> str:
    """Run the page's commands; returns what they said."""
    make_venv(host)
    told = commands("Installation").replace("<this repository>", SOURCE)
    fetched = told.replace(
        "make .venv/installed", f"cp -a {VENV} .venv && touch .venv/installed && make .venv/installed"
    )
    return host.run(["sh", "-exc", fetched]).stdout
