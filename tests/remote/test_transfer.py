"""Copying a file between nodes that are real sshds, and what ends a copy early."""

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import product
from pathlib import Path

import pytest

from ravada_web.remote import transfer
from ravada_web.remote.errors import CommandFailed, CopyFailed, NodeUnreachable
from ravada_web.remote.links import LinkKeeper
from ravada_web.remote.target import Target, accepts
from ravada_web.remote.transfer import copy_file
from tests.support.servers import wait_until
from tests.support.sshd import Place, processes_of, ssh_place

SIZE = 9_000_001


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with ssh_place() as made:
        (made.folder / "original").write_bytes(os.urandom(SIZE))
        yield made


def copy(place: Place, source: Target, dest: Target, to: Path, **options: object) -> list[int]:
    seen: list[int] = []
    wanted = {"size": SIZE, "on_progress": seen.append} | options
    copy_file(place.workspace, source, str(place.folder / "original"), dest, str(to), **wanted)  # type: ignore[arg-type]
    return seen


@pytest.mark.parametrize(("far_source", "far_dest"), [*product([True, False], repeat=2)])
def test_a_copy_is_the_original(place: Place, far_source: bool, far_dest: bool, tmp_path: Path) -> None:
    ends = [place.target if far else place.local for far in (far_source, far_dest)]
    to = tmp_path / "it's $(a) copy"
    assert copy(place, ends[0], ends[1], to)[-1] == SIZE
    assert to.read_bytes() == (place.folder / "original").read_bytes()
    assert to.stat().st_mode & 0o777 == 0o600
    assert processes_of(place.workspace.run_dir) == []


def test_progress_grows(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "REPORT_SECONDS", 0.0)
    seen = copy(place, place.target, place.target, tmp_path / "copy")
    assert len(seen) > 3
    assert seen == sorted(seen)


def test_a_copy_takes_no_more_than_it_may_and_tells_of_itself_meanwhile(place: Place, tmp_path: Path) -> None:
    rate, begun = 16 << 20, time.monotonic()
    seen = copy(place, place.target, place.local, tmp_path / "copy", most=lambda: rate)
    assert time.monotonic() - begun >= SIZE / rate
    assert (tmp_path / "copy").read_bytes() == (place.folder / "original").read_bytes() and seen[-1] == SIZE


def test_a_copy_that_waits_can_be_ended(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "REPORT_SECONDS", 0.05)

    def cancel(_copied: int) -> None:
        raise KeyError("cancelled")

    with pytest.raises(KeyError):
        copy(place, place.target, place.local, tmp_path / "copy", most=lambda: 1, on_progress=cancel)


def test_an_original_of_another_length_is_told(place: Place, tmp_path: Path) -> None:
    with pytest.raises(CopyFailed, match=f"ended after {SIZE:,} B instead of {SIZE + 1:,} B"):
        copy(place, place.target, place.local, tmp_path / "copy", size=SIZE + 1)


def test_progress_may_end_the_copy(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "REPORT_SECONDS", 0.0)

    def cancel(copied: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy(place, place.target, place.target, tmp_path / "copy", on_progress=cancel)
    assert processes_of(place.workspace.run_dir) == []
    wait_until(lambda: not processes_of(tmp_path), 5, "the far end is gone")


def test_a_missing_original(place: Place, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match=r"reading the original failed on kvm7.*No such file"):
        copy_file(
            place.workspace, place.target, "/no/such", place.local, str(tmp_path / "copy"), size=1, on_progress=print
        )


def test_a_destination_that_cannot_be_written(place: Place, tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="writing the copy failed on kvm7"):
        copy(place, place.local, place.target, tmp_path / "no" / "folder")


def test_a_full_disk_is_told_in_its_own_words(place: Place) -> None:
    with pytest.raises(CommandFailed, match="No space left on device"):
        copy(place, place.target, place.target, Path("/dev/full"))


def test_a_copy_that_stands_still_is_given_up(place: Place, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "silent")
    with pytest.raises(CopyFailed, match=r"no progress for 0\.5 s"):
        copy_file(
            place.workspace, place.target, str(tmp_path / "silent"), place.local, str(tmp_path / "copy"),
            size=1, on_progress=print, stall=0.5,
        )  # fmt: skip
    # The far cat waits for whoever opens the pipe; let it end.
    os.close(os.open(tmp_path / "silent", os.O_RDWR | os.O_NONBLOCK))


def test_an_original_without_end_is_ended_at_its_length(place: Place, tmp_path: Path) -> None:
    with pytest.raises(CopyFailed, match=f"instead of {SIZE:,} B"):
        copy_file(
            place.workspace, place.target, "/dev/zero", place.local, str(tmp_path / "copy"),
            size=SIZE, on_progress=lambda _bytes: None,
        )  # fmt: skip
    assert (tmp_path / "copy").stat().st_size <= SIZE


def test_a_copy_that_trickles_is_given_up_too(place: Place, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "slow")
    trickle = subprocess.Popen(["sh", "-c", 'while sleep 0.1; do echo; done > "$1"', "sh", tmp_path / "slow"])
    try:
        with pytest.raises(CopyFailed, match=r"no progress for 0\.7 s"):
            copy_file(
                place.workspace, place.target, str(tmp_path / "slow"), place.local, str(tmp_path / "copy"),
                size=SIZE, on_progress=print, stall=0.7,
            )  # fmt: skip
    finally:
        trickle.kill()
        trickle.wait()


def test_a_node_that_dies_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "REPORT_SECONDS", 0.0)
    with ssh_place() as place:
        (place.folder / "original").write_bytes(b"x" * SIZE * 4)

        def die(copied: int) -> None:
            if copied > 8 * transfer.BLOCK:  # more than pipes hold, so the connection is in use
                place.sshd.stop()

        with pytest.raises(NodeUnreachable) as caught:
            copy(place, place.local, place.target, tmp_path / "copy", size=SIZE * 4, on_progress=die)
    assert caught.value.code == "lost"


@pytest.mark.parametrize("carried", [False, True])
def test_a_carrier_that_ends_takes_along_what_is_carried_alone(place: Place, tmp_path: Path, carried: bool) -> None:
    to = tmp_path / "copy"
    with closing(LinkKeeper(place.workspace, remote_socket=str(place.folder / "none"))) as keeper:

        def is_carried() -> bool:
            keeper.reconcile([place.target], [place.target.node_id])
            return accepts(place.workspace.carrier(place.target))

        def end(copied: int) -> None:
            if copied < SIZE:
                keeper.close()

        wait_until(is_carried, 15, "there is a carrier")
        options = {"on_progress": end, "most": lambda: 4 << 20, "carried": carried}
        if carried:
            with pytest.raises((CommandFailed, CopyFailed, NodeUnreachable)):
                copy(place, place.local, place.target, to, **options)
        else:
            copy(place, place.local, place.target, to, **options)
            assert to.read_bytes() == (place.folder / "original").read_bytes()
