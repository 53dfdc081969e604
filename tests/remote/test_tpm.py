"""The scripts that read and put the state of an emulated TPM, in a folder of the test's."""

import subprocess
from pathlib import Path

import pytest

from ravada_web.remote import tpm

UUID = "00000000-0000-0000-0000-000000000001"


def run(script: str, room: Path, *arguments: object) -> bytes:
    """What the script says where TPMs are kept in this folder."""
    words = ["sh", "-c", script.replace("/var/lib/libvirt/swtpm", str(room)), "sh", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, check=True).stdout


@pytest.mark.parametrize("state", tpm.STATES.values())
def test_what_is_read_on_one_host_is_put_on_another_and_the_file_goes(tmp_path: Path, state: str) -> None:
    here, there, file = tmp_path / "here", tmp_path / "there", tmp_path / "file"
    assert run(tpm.READ_STATE, here, UUID, state) == b"", "it has never run"
    kept = here / UUID / state
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"\0keys\n")
    file.write_bytes(run(tpm.READ_STATE, here, UUID, state))
    for _attempt in range(2):
        run(tpm.PUT_STATE, there, file, UUID, state)
        put = there / UUID / state
        assert put.read_bytes() == b"\0keys\n" and not file.exists()
        assert [path.name for path in put.parent.iterdir()] == [put.name]
    assert (there / UUID).stat().st_mode & 0o777 == 0o711 and put.parent.stat().st_mode & 0o777 == 0o700


def test_a_link_is_no_state(tmp_path: Path) -> None:
    state = tmp_path / UUID / tpm.STATES["2.0"]
    state.parent.mkdir(parents=True)
    state.symlink_to("/etc/passwd")
    assert run(tpm.READ_STATE, tmp_path, UUID, tpm.STATES["2.0"]) == b""


@pytest.mark.parametrize(("uuid", "state"), [("../../etc", "tpm2/tpm2-00.permall"), (UUID, "../passwd")])
def test_no_other_file_is_named(uuid: str, state: str) -> None:
    with pytest.raises(ValueError, match="not a text of this kind"):
        tpm.READING(uuid, state)
