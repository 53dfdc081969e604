"""A host with busybox's tools in place of GNU's: what it can do is seen, and what it cannot is named."""

import shutil
import time
from pathlib import Path

import pytest

from ravada_web.remote.sampling import sample
from ravada_web.remote.survey import survey
from ravada_web.remote.target import Target, Workspace

HERE = Target(1, "master", "", 0, "", "", local=True)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """One of this host, whose tools are busybox's."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("busybox is not installed (apt install busybox-static)")
    (tmp_path / "bin").mkdir()
    for name in ("stat", "find", "split", "date", "df", "timeout", "grep", "tr"):
        (tmp_path / "bin" / name).symlink_to(busybox)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin")
    return Workspace(tmp_path, tmp_path / "key")


def test_its_folders_are_there(workspace: Workspace, tmp_path: Path) -> None:
    seen = sample(workspace, HERE, [str(tmp_path), "/no/such"], deadline=10)
    assert list(seen.disks) == [str(tmp_path)]
    assert abs(seen.now - time.time()) < 5


def test_it_is_told_which_tools_are_of_another_kind_and_its_clock_is_right(workspace: Workspace) -> None:
    seen = survey(workspace, HERE)
    assert seen.other_programs == {"find", "split"}
    assert {"stat", "timeout"} <= seen.programs
    assert abs(seen.clock_ahead) < 5
