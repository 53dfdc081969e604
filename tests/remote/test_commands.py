"""Commands on a node, by a real sshd, and the same on this host."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ravada_web.remote.commands import run
from ravada_web.remote.errors import CommandFailed, DeadlineExceeded, NodeUnreachable
from ravada_web.remote.files import file_size, free_space, list_files, remove_files
from ravada_web.remote.sampling import sample
from ravada_web.remote.target import Target
from tests.support.servers import wait_until
from tests.support.sshd import Place, free_port, processes_of

HOSTILE = ["$(id)", "`id`", "a;b", "'", '"', "a\nb", "*", "-n", "~root", "\\", "", "é", "&& reboot"]


def test_hostile_words_arrive_as_they_are(place: Place, node: Target) -> None:
    got = run(place.workspace, node, ["printf", r"%s\0", *HOSTILE], deadline=10)
    assert got.decode().split("\0")[:-1] == HOSTILE


def test_a_script_gets_its_arguments_and_input(place: Place, node: Target) -> None:
    script = 'printf "%s|" "$1" "$2"; cat'
    assert (
        run(place.workspace, node, ["sh", "-c", script, "sh", "a b", "$HOME"], stdin=b"in", deadline=10)
        == b"a b|$HOME|in"
    )


def test_without_input_there_is_none_to_wait_for(place: Place, node: Target) -> None:
    assert run(place.workspace, node, ["cat"], deadline=10) == b""


def test_the_locale_is_the_plain_one(place: Place, node: Target) -> None:
    assert run(place.workspace, node, ["printenv", "LC_ALL"], deadline=10) == b"C\n"


def test_a_failure_has_its_status_and_what_was_said(place: Place, node: Target) -> None:
    with pytest.raises(CommandFailed) as caught:
        run(place.workspace, node, ["sh", "-c", "printf 'no\\033[2Jgood' >&2; exit 3"], deadline=10, step="trying")
    assert (caught.value.status, caught.value.step, caught.value.stderr) == (3, "trying", "no [2Jgood")
    assert str(caught.value) == f"trying failed on {node.name} (exit status 3): no [2Jgood"


def test_a_program_that_is_missing_on_a_node_is_named(place: Place, node: Target) -> None:
    with pytest.raises(CommandFailed, match=r"no-such-program.*Is it installed") as caught:
        run(place.workspace, node, ["no-such-program"], deadline=10)
    assert caught.value.status == 127


@pytest.mark.clock
def test_the_deadline_ends_the_command(place: Place, node: Target) -> None:
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"within 0.5 s \(sleep\)"):
        run(place.workspace, node, ["sleep", "61.25"], deadline=0.5)
    assert time.monotonic() - began < 3
    # The far side's own bound comes 2 s after, rounded up.
    wait_until(lambda: not sleepers(), 8, "nothing sleeps any more")


def sleepers() -> list[int]:
    return processes_of(Path("61.25"))


def test_no_process_of_ours_stays(place: Place, node: Target) -> None:
    run(place.workspace, node, ["true"], deadline=10)
    assert processes_of(place.workspace.run_dir) == []


def test_a_node_that_is_not_there(place: Place) -> None:
    with pytest.raises(NodeUnreachable) as caught:
        run(place.workspace, replace(place.target, port=free_port()), ["true"], deadline=10)
    assert caught.value.code == "refused"


def test_files_are_listed_measured_and_removed(place: Place, node: Target) -> None:
    folder = place.folder / f"files-{node.name}"
    folder.mkdir()
    (folder / "a one").write_bytes(b"12345")
    (folder / "a\ntwo").write_bytes(b"1")
    (folder / "b").write_bytes(b"")
    (folder / "a-folder").mkdir()
    assert list_files(place.workspace, node, str(folder), "a") == [("a\ntwo", 1), ("a one", 5)]
    assert len(list_files(place.workspace, node, str(folder))) == 3
    assert file_size(place.workspace, node, str(folder / "a one")) == 5
    remove_files(place.workspace, node, [str(folder / "a one"), str(folder / "missing")])
    remove_files(place.workspace, node, [])
    assert not (folder / "a one").exists()
    with pytest.raises(CommandFailed):
        remove_files(place.workspace, node, [str(folder / "a-folder")])


def test_free_space_is_that_of_the_file_system(place: Place, node: Target) -> None:
    total, free = free_space(place.workspace, node, [str(place.folder), "/"])[str(place.folder)]
    seen = os.statvfs(place.folder)
    assert total == seen.f_blocks * seen.f_frsize
    assert abs(free - seen.f_bavail * seen.f_frsize) < 1 << 30
    with pytest.raises(CommandFailed, match=r"/no/such.*No such file"):
        free_space(place.workspace, node, ["/", "/no/such"])


def test_a_sample_of_a_node(place: Place, node: Target) -> None:
    folder = str(place.folder / "with space")
    Path(folder).mkdir(exist_ok=True)
    seen = sample(place.workspace, node, [folder, "/no/such"], deadline=10)
    assert abs(seen.now - time.time()) < 5
    assert 0 < seen.memory_available_mib < seen.memory_total_mib
    assert seen.memory_total_mib == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
    assert seen.load1 >= 0
    assert list(seen.disks) == [folder]
    assert sample(place.workspace, node, [], deadline=10, fresh=True).disks == {}
