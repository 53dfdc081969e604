"""What a node says in figures: finite and in range, or that node's own failure."""

import os
from pathlib import Path

import pytest

from ravada_web.remote import survey as surveys
from ravada_web.remote.errors import UnreadableAnswer
from ravada_web.remote.files import free_space, parse_room
from ravada_web.remote.sampling import _parse, sample
from ravada_web.remote.survey import PARTS, _survey
from ravada_web.remote.target import Target, Workspace
from ravada_web.remote.verbs import Verb

HERE = Target(1, "master", "", 0, "", "", local=True)
PATH = "/pool"
FINE = ["load 0.5", "total 16384", "available 9000", "now 1700000000.5", "id "]


def answer(*lines: str) -> bytes:
    return "\n".join([*lines, ""]).encode()


def test_a_plain_answer_is_read() -> None:
    seen = _parse(answer(*FINE, f"room=10=10=4={PATH}"), [PATH])
    assert (seen.load1, seen.memory_total_mib, seen.disks, seen.now) == (0.5, 16, {PATH: (100, 40)}, 1700000000.5)


@pytest.mark.parametrize("machine_id", ["", "0123456789abcdef" * 2])
@pytest.mark.parametrize("mark", ["", "nologin"])
def test_a_host_that_starts_up_or_shuts_down_says_so(machine_id: str, mark: str) -> None:
    seen = _parse(answer(*FINE[:-1], f"id {machine_id} {mark}", f"room=10=10=4={PATH}"), [PATH])
    assert (seen.machine_id, seen.nologin) == (machine_id, bool(mark))


BOOT = "0f2d1c7e-5f0a-4a38-9a53-0d6f6b1f7a10.25"


@pytest.mark.parametrize("mark", ["", "nologin"])
@pytest.mark.parametrize(
    ("said", "boot"), [(BOOT, BOOT), (".25", ".25"), (".", ""), ("", ""), ("<b>.25", ""), (BOOT * 9, "")]
)
def test_a_host_says_which_start_of_it_this_is(mark: str, said: str, boot: str) -> None:
    seen = _parse(answer(*FINE[:-1], f"id {'0' * 32} {mark} {said}", f"room=10=10=4={PATH}"), [PATH])
    assert (seen.boot, seen.nologin, seen.machine_id) == (boot, bool(mark), "0" * 32)


def test_this_host_says_so_too() -> None:
    here = Workspace(Path("/nowhere"), Path("/nowhere"))
    seen = sample(here, HERE, [], deadline=20)
    assert seen.boot.startswith(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    assert seen.boot.rpartition(".")[2] == Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19]


@pytest.mark.parametrize(
    "line",
    ["load -inf", "load nan", "load -1", "load 1e300", "load", "load much", f"total {1 << 80}",
     "total -5", "total 0x10", "available inf", "now inf", "now 1e30", "now -1", "hello"],
)  # fmt: skip
def test_a_figure_that_no_host_can_have_is_not_taken(line: str) -> None:
    odd = [line if line.split()[0] == given.split()[0] else given for given in FINE]
    with pytest.raises((KeyError, ValueError)):
        _parse(answer(*(odd if odd != FINE else [line, *FINE[1:]])), [PATH])


@pytest.mark.parametrize("raw", [b"", b"\n\n\n\n", b"\xff\xfe", b"load 1\ntotal 5", "löad 1\n".encode()])
def test_an_answer_that_is_none_is_not_taken(raw: bytes) -> None:
    with pytest.raises((KeyError, ValueError)):
        _parse(raw, [PATH])


@pytest.mark.parametrize("size", [1 << 63, 1 << 80, -1, "1e9", "", "٣"])
def test_a_size_that_no_file_system_has_is_passed_over(size: object) -> None:
    assert parse_room(f"room=1={size}=5={PATH}\n".encode(), [PATH]) == {}
    assert parse_room(f"room=1=5={size}={PATH}\n".encode(), [PATH]) == {}


def test_a_file_system_of_several_eib_is_as_large_as_that() -> None:
    assert parse_room(f"room=1={1 << 62}=5={PATH}".encode(), [PATH]) == {PATH: (1 << 62, 5)}


@pytest.mark.parametrize(
    "name", ["iso\u00a0files", "a\u2028b", "a\u0085b", "tab\there", "line\nend", "a  b ", "\udcff", "?"]
)
def test_the_room_of_a_folder_of_any_name_is_known(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    workspace = Workspace(Path("/run"), tmp_path / "key")
    seen = os.statvfs(folder)
    total, _free = free_space(workspace, HERE, [str(folder)])[str(folder)]
    assert total == seen.f_blocks * seen.f_frsize
    assert list(sample(workspace, HERE, [str(folder), "/no/such"], deadline=10).disks) == [str(folder)]


def test_a_survey_that_ends_early_names_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surveys, "SURVEY", Verb("cut short", ("printf", "clock\\0001\\0os\\000")))
    with pytest.raises(UnreadableAnswer, match="it lacks machine_id, arch"):
        surveys.survey(Workspace(Path("/run"), tmp_path / "key"), HERE)


def test_a_clock_beyond_all_time_is_read_as_none() -> None:
    parts = dict.fromkeys(PARTS, "")
    assert abs(_survey(parts | {"clock": "1e308"}, 100.0, 1.0).clock_ahead) < 1 << 41
