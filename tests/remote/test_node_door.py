"""A host that says too much, too slowly, or nonsense: bounded, and that host's own failure."""

import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from ravada_web.messages.foreign import json_object
from ravada_web.remote import failures, files, survey
from ravada_web.remote.errors import NodeUnreachable, UnreadableAnswer
from ravada_web.remote.foreign_images import _info
from ravada_web.remote.image_headers import Header
from ravada_web.remote.links import Link
from ravada_web.remote.login import run_with_password
from ravada_web.remote.reading import reading
from ravada_web.remote.screens import NoPicture, first_frame
from ravada_web.remote.target import Target, Workspace
from ravada_web.remote.trust import fetch_host_key

HERE = Target(1, "master", "", 0, "", "", local=True)
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0ZT0ZRm2DHyZ0mzm2hv0FpLrYLOW6nhZAVY4lqXnVR"
PATIENCE = 30.0


@contextmanager
def server(plug: socket.socket, talk: Callable[[socket.socket], None]) -> Iterator[None]:
    """Has `talk` speak to the one who connects, until it is done or cut off."""
    plug.listen(1)

    def serve() -> None:
        with suppress(OSError), plug.accept()[0] as visitor:
            visitor.settimeout(PATIENCE)
            talk(visitor)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        plug.close()
        thread.join(PATIENCE)
        assert not thread.is_alive()


class Flood:
    """Sends a packet's head that announces 4 GiB, and goes on; counts what was taken of it."""

    def __init__(self) -> None:
        self.sent = 0

    def __call__(self, visitor: socket.socket) -> None:
        visitor.sendall(b"SSH-2.0-flood\r\n" + struct.pack("!I", 0xFFFFFFF4))
        while True:
            self.sent += visitor.send(bytes(1 << 16))


def drip(visitor: socket.socket) -> None:
    visitor.sendall(b"SSH-2.0-")
    while visitor.send(b"x"):
        time.sleep(0.05)


def test_a_host_that_floods_is_cut_off_before_its_key_is_read() -> None:
    flood = Flood()
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        with server(plug, flood), pytest.raises(NodeUnreachable):
            fetch_host_key("127.0.0.1", plug.getsockname()[1], deadline=PATIENCE)
    assert flood.sent < 32 << 20, "what the sockets hold, and one piece"


def test_a_host_that_drips_ends_in_time() -> None:
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        with server(plug, drip), pytest.raises(NodeUnreachable):
            fetch_host_key("127.0.0.1", plug.getsockname()[1], deadline=1.0)


def test_a_host_that_floods_at_the_login_is_cut_off() -> None:
    flood = Flood()
    with socket.socket() as plug:
        plug.bind(("127.0.0.1", 0))
        target = Target(1, "kvm1", "127.0.0.1", plug.getsockname()[1], "root", KEY)
        with server(plug, flood), pytest.raises(NodeUnreachable):
            run_with_password(target, "secret", "true", PATIENCE)
    assert flood.sent < 32 << 20


def test_a_host_that_never_stops_to_complain_holds_up_no_other_link(tmp_path: Path) -> None:
    link = Link(Workspace(tmp_path, tmp_path / "key"), HERE, "/nowhere")
    with subprocess.Popen(["sh", "-c", "exec yes complaint >&2"], stderr=subprocess.PIPE) as process:
        assert process.stderr
        os.set_blocking(process.stderr.fileno(), False)
        try:
            until = time.monotonic() + PATIENCE
            while b"complaint" not in link._said and time.monotonic() < until:
                link._listen(process)
            assert 0 < len(link._said) <= 4096
        finally:
            process.kill()


@pytest.mark.parametrize(
    "raw",
    [b"9" * 5000 + b" 1 /a\0", "٣ 1 /a\0".encode(), b"-1 1 /a\0", b"1 /a\0", b"junk 1 1 /a\0", b"\0\0\0"],
)
def test_lines_that_are_no_files_are_passed_over(raw: bytes) -> None:
    assert [file.path for file in files.parse_list(raw + b"\0" + b"5 8 /b c\n1 1 d\0")] == ["/b c\n1 1 d"]


@pytest.mark.parametrize(
    "raw",
    [b"1 1 /a\0" * (files.MOST_FILES + 1), b"99999999999999999999 1 /a\0", b"1 1 /" + b"x" * 5000 + b"\0"],
    ids=["more files than a pool has", "a file longer than any", "a name longer than any"],
)
def test_a_list_beyond_all_bounds_is_the_hosts_own_failure(raw: bytes) -> None:
    with pytest.raises(UnreadableAnswer), reading("kvm1", "find"):
        list(files.parse_list(raw))


def test_a_size_with_five_thousand_digits_is_the_hosts_own_failure(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "stat").write_text("#!/bin/sh\nprintf '%05000d' 1\n")
    (programs / "stat").chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
        with pytest.raises(UnreadableAnswer):
            files.file_size(Workspace(tmp_path, tmp_path / "key"), HERE, "/a")


QCOW2 = Header("qcow2")


@pytest.mark.parametrize(
    "said",
    ["[]", "[" * 100_000, "null", "{}", '{"virtual-size": 1e400}', '{"virtual-size": true}', '{"virtual-size": "-1"}',
     '{"virtual-size": ' + "9" * 5000 + "}", '{"virtual-size": [1]}'],
)  # fmt: skip
def test_what_is_no_description_of_an_image(said: str) -> None:
    with pytest.raises(UnreadableAnswer), reading("kvm1", "qemu-img info"):
        _info(QCOW2, "qcow2", json_object(said))


def test_odd_parts_of_a_description_are_left_out() -> None:
    said = '{"virtual-size": 1, "format-specific": {"data": []}, "snapshots": [1], "backing-filename": {"a": 1}}'
    info = _info(QCOW2, "qcow2", json_object(said))
    assert info.snapshots == () and info.backing_file


@pytest.mark.parametrize("port", ["0", "-1", "65536", "9" * 5000, "٢٢", "22x", "*"])
def test_a_port_that_is_none_is_no_listener(port: str) -> None:
    parts = dict.fromkeys(survey.PARTS, "") | {"listening": f"LISTEN 0 128 0.0.0.0:{port} 0.0.0.0:*\n"}
    assert survey._survey(parts, 100.0, 1.0).listeners == ()


@pytest.mark.clock
def test_no_pattern_takes_long_on_a_line_made_for_it() -> None:
    started = time.monotonic()
    long = {
        "nft_other": "hook input " * 5000,
        "ufw": "Status: active\n" + "ALLOW x" * 8000,
        "firewalld": "services:" * 6000,
    }
    raw = "\0".join(f"{name}\0{long.get(name, '')}" for name in survey.PARTS).encode()
    survey._survey(survey.parse_parts(raw), 100.0, 1.0)
    failures.classify(HERE, b"", b"Read from remote host x: " * 2600)
    assert time.monotonic() - started < 5


class Display:
    """A display that says its greeting, then what it is given."""

    def __init__(self, size: tuple[int, int], name: bytes, then: bytes = b"") -> None:
        self.greeting = struct.pack("!HH16s", *size, bytes(16)) + name
        self.then = then

    def __call__(self, visitor: socket.socket) -> None:
        visitor.sendall(b"RFB 003.008\n\x01\x01")
        visitor.sendall(bytes(4) + self.greeting + self.then)
        while visitor.recv(1 << 16):
            pass


RECTANGLE = struct.pack("!HHHHi", 0, 0, 2, 2, 0) + bytes(16)


@contextmanager
def joined(folder: Path) -> Iterator[socket.socket]:
    """A connection to the display there."""
    with socket.socket(socket.AF_UNIX) as plug:
        plug.connect(str(folder / "vnc.sock"))
        yield plug


@pytest.mark.parametrize(
    "display",
    [
        Display((2, 2), struct.pack("!I", 0xFFFFFFFF)),
        Display((2, 2), bytes(4), b"\x03\0\0\0" + struct.pack("!I", 0xFFFFFFFF)),
        Display((0, 2), bytes(4)),
        Display((65535, 65535), bytes(4)),
        Display((2, 2), bytes(4), b"\0\0\xff\xff" + RECTANGLE * 3),
        Display((2, 2), bytes(4), b"\0\0\0\1" + struct.pack("!HHHHi", 0, 0, 65535, 65535, 0)),
    ],
    ids=["an endless name", "an endless clipboard", "no size", "an endless size", "endless parts", "an endless part"],
)
def test_a_display_beyond_all_bounds_is_left(display: Display, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind(str(tmp_path / "vnc.sock"))
        with server(plug, display), joined(tmp_path) as near, pytest.raises(NoPicture) as refused:
            first_frame(near, PATIENCE)
    assert refused.value.message.kind in ("remote.display_confused", "remote.screen_impossible")


def test_the_colours_of_a_picture_are_counted_up_to_a_bound(tmp_path: Path) -> None:
    pixels = b"".join(struct.pack("!I", number) for number in range(1024 * 1024))
    frame = struct.pack("!BxHHHHHi", 0, 1, 0, 0, 1024, 1024, 0) + pixels
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind(str(tmp_path / "vnc.sock"))
        with server(plug, Display((1024, 1024), bytes(4), frame)), joined(tmp_path) as near:
            seen = first_frame(near, PATIENCE)
    assert (seen.width, seen.height) == (1024, 1024) and 1 < seen.colours < 1 << 15
