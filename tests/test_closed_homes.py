"""Homes that only their owner may enter: what the processes see of them, and that the host stays as it is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ravada_web import ROOT
from ravada_web.closed_homes import closed_above

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has a view of the system made")

SEEN = """
import json, os, pathlib, sys
from ravada_web import closed_homes
from ravada_web.system_users import SystemUser

home, *kept = map(pathlib.Path, sys.argv[1:])
before = closed_homes.hide(kept)
if os.fork() == 0:
    SystemUser("somebody", 64101, 64101).become()
    read = [(path / "file").read_text() for path in kept]
    print(json.dumps([sorted(os.listdir(home)), read]), flush=True)
    os._exit(0)
os.wait()
closed_homes.leave(before)
print(json.dumps(sorted(os.listdir(home))))
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A closed home, below the closed folder of the tests."""
    for name in ("product", "deep/er/data", "letters"):
        folder = tmp_path / "anna" / name
        folder.mkdir(parents=True)
        (folder / "file").write_text(name)
    for closed in ("anna", "anna/deep"):
        (tmp_path / closed).chmod(0o700)
    return tmp_path / "anna"


def seen(home: Path, *kept: str) -> list[list[object]]:
    command = [sys.executable, "-c", SEEN, str(home), *(str(home / name) for name in kept)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_of_a_closed_home_only_what_is_needed_is_seen(home: Path) -> None:
    below, after = seen(home, "product", "deep/er/data")
    assert below == [["deep", "product"], ["product", "deep/er/data"]]
    assert after == ["deep", "letters", "product"], "on the host all is as it was"
    assert home.stat().st_mode & 0o777 == 0o700


def test_what_lies_in_another_needed_folder_is_seen_in_it(home: Path) -> None:
    (home / "product" / "var").mkdir()
    (home / "product" / "var" / "file").write_text("in it")
    assert seen(home, "product", "product/var")[0] == [["product"], ["product", "in it"]]


def test_a_way_through_a_link_stays_one(home: Path) -> None:
    (home / "link").symlink_to("product")
    assert seen(home, "link", "product")[0] == [["link", "product"], ["product", "product"]]


def test_the_topmost_closed_folder_is_found(home: Path) -> None:
    home.parent.chmod(0o755)
    (top,) = closed_above([home / "product"])
    assert not top.stat().st_mode & 1 and home.is_relative_to(top)
    assert closed_above([Path("/usr/bin"), Path("/")]) == {}


def test_a_system_that_lets_nobody_hide_a_home_says_what_to_do(home: Path) -> None:
    bare = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
    command = [*bare, sys.executable, "-c", SEEN, str(home), str(home / "product")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and "CannotRun: Only its owner may enter" in last, done.stderr
    assert "Operation not permitted" in last and f"Move what is below it elsewhere ({home / 'product'})" in last
    assert "chmod o+x" in last


def test_a_home_that_is_needed_itself_is_refused_in_one_sentence(home: Path) -> None:
    command = [sys.executable, "-c", SEEN, str(home), str(home), str(home / "product")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and "CannotRun: Only its owner may enter" in last and "chmod o+x" in last
