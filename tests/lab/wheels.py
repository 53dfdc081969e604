"""What pip installs of the product, for hosts without a network: the very files that it would fetch, by their hashes.

`python -m tests.lab.wheels` fetches them for Debian's own Python, which the hosts have; they are kept in var/trees.
"""

import hashlib
from pathlib import Path

from ravada_web import ROOT
from tests.lab.node import shell
from tests.lab.trees import TREES, have

PYTHON = "/usr/bin/python3"
BUILD, RUN = ROOT / "deploy" / "build-requirements.txt", ROOT / "requirements.txt"
HASHED = ("--require-hashes", "--only-binary=:all:", "--no-binary=libvirt-python")


def wheels() -> Path:
    """The folder with the files; there once they have been fetched."""
    recipe = BUILD.read_bytes() + RUN.read_bytes() + repr(HASHED).encode()
    return TREES / f"wheels-{hashlib.sha256(recipe).hexdigest()[:12]}"


def _fetch(folder: Path) -> None:
    """As the Makefile installs them, but into a folder."""
    shell(PYTHON, "-m", "venv", folder / "venv")
    pip = (folder / "venv/bin/pip", "--disable-pip-version-check", "--quiet")
    shell(*pip, "install", *HASHED, "-r", BUILD)
    place = ("--no-deps", "--no-build-isolation", "--dest", folder)
    shell(*pip, "download", *place, *HASHED, "-r", BUILD, "-r", RUN)
    shell("rm", "-r", folder / "venv")


if __name__ == "__main__":
    have(wheels(), _fetch)
