"""Images that are made to read the host, and the place where QEMU's tools meet them; real files, real qemu-img."""

import json
import os
import stat
import subprocess
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from ravada_web.remote import foreign_files, image_headers, images, sandbox
from ravada_web.remote.errors import CommandFailed, ImageRefused, RemoteError
from ravada_web.remote.target import Target
from tests.support.images import bomb, descriptor, qcow2, vmdk_around
from tests.support.sshd import Place

SECRET = b"a line of this host that no image may show\n"
MIB = 1 << 20


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of the host that root alone can read."""
    path = tmp_path / "secret"
    path.write_bytes(SECRET * 100)
    os.truncate(path, MIB)
    path.chmod(0o600)
    return path


def qemu_img(*words: object) -> None:
    subprocess.run(["qemu-img", *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def overlay(path: Path, image_format: str, backing: object) -> None:
    qemu_img("create", "-q", "-u", "-f", image_format, "-F", "raw", "-b", backing, path, "1M")


def child(path: Path, parent: Path) -> None:
    """A VMDK that is one file, and names another as what it stands on."""
    qemu_img("create", "-q", "-f", "vmdk", parent, "1M")
    qemu_img("create", "-q", "-f", "vmdk", "-F", "vmdk", "-b", parent, path)


def file_node(path: Path) -> str:
    return json.dumps({"driver": "file", "filename": str(path)})


# By what the image is wanted to be: what writes it, given the path and that of the secret; and why it is refused.
HOSTILE: dict[str, tuple[str, Callable[[Path, Path], object], str]] = {
    "a descriptor": ("vmdk", lambda at, secret: at.write_bytes(descriptor(str(secret))), "remote.refers"),
    "one in a file": ("vmdk", lambda at, x: at.write_bytes(vmdk_around(descriptor(str(x)))), "remote.refers"),
    "a descriptor as a raw": ("raw", lambda at, x: at.write_bytes(descriptor(str(x))), "remote.not_of_format"),
    "a descriptor as a qcow2": ("qcow2", lambda at, x: at.write_bytes(descriptor(str(x))), "remote.not_of_format"),
    "a backing file": ("qcow2", lambda at, x: overlay(at, "qcow2", x), "remote.backing_file"),
    "a backing of json": ("qcow2", lambda at, x: overlay(at, "qcow2", "json:" + file_node(x)), "remote.backing_file"),
    "a backing of nbd": ("qcow2", lambda at, _x: overlay(at, "qcow2", "nbd:127.0.0.1:9"), "remote.backing_file"),
    "a backing file as a raw": ("raw", lambda at, x: overlay(at, "qcow2", x), "remote.not_of_format"),
    "a qed's": ("qed", lambda at, x: overlay(at, "qed", x), "remote.refers"),
    "a qed as a qcow2": ("qcow2", lambda at, x: overlay(at, "qed", x), "remote.not_of_format"),
    "a qcow's": ("qcow", lambda at, x: overlay(at, "qcow", x), "remote.refers"),
    "a vmdk's": ("vmdk", lambda at, _x: child(at, at.with_name("parent")), "remote.backing_file"),
    "a data file": ("qcow2", lambda at, x: at.write_bytes(qcow2(data_file=str(x).encode())), "remote.data_file"),
    "a data file without name": ("qcow2", lambda at, _x: at.write_bytes(qcow2(features=4)), "remote.data_file"),
    "a symbolic link": ("raw", lambda at, secret: at.symlink_to(secret), "remote.not_plain_link"),
    "a hard link": ("raw", lambda at, secret: at.hardlink_to(secret), "remote.not_plain_names"),
    "a pipe": ("raw", lambda at, _secret: os.mkfifo(at), "remote.not_plain_kind"),
    "a folder": ("raw", lambda at, _secret: at.mkdir(), "remote.not_plain_kind"),
    "a device": ("raw", lambda at, _x: os.mknod(at, stat.S_IFCHR | 0o600, os.makedev(1, 5)), "remote.not_plain_kind"),
    "a size": ("qcow2", lambda at, _x: at.write_bytes(qcow2(virtual_size=17 << 40)), "remote.image_too_large"),
    "a size of all bits": ("qcow2", lambda at, _x: at.write_bytes(qcow2(virtual_size=2**63)), "remote.image_too_large"),
    "tables": ("qcow2", lambda at, _x: at.write_bytes(qcow2(l1_entries=1 << 31)), "remote.huge_tables"),
    "snapshots": ("qcow2", lambda at, _x: at.write_bytes(qcow2(snapshots=1 << 31)), "remote.huge_tables"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_would_read_the_host_is_refused_and_nothing_written(
    place: Place, tmp_path: Path, secret: Path, what: str
) -> None:
    image_format, write, kind = HOSTILE[what]
    image, flat = tmp_path / "a, b=c.img", tmp_path / "flat"
    write(image, secret)
    with pytest.raises(ImageRefused) as refused:
        info = images.inspect(place.workspace, place.local, str(image), image_format, deadline=30)
        images.ensure_self_contained(info)
    assert refused.value.message.kind == kind
    with pytest.raises(ImageRefused):
        images.flatten(place.workspace, place.local, str(image), image_format, str(flat))
    assert not flat.exists()


@pytest.mark.parametrize(
    ("name", "image_format"),
    [("vmdk", "vmdk"), ("backing", "qcow2"), ("qed", "qed"), ("plain", "raw"), ("monolithic", "vmdk")],
)
def test_even_unchecked_the_tools_reach_no_file_but_the_image(
    place: Place, tmp_path: Path, secret: Path, name: str, image_format: str
) -> None:
    image, flat = tmp_path / "image", tmp_path / "flat"
    {
        "vmdk": lambda: image.write_bytes(descriptor(str(secret))),
        "monolithic": lambda: image.write_bytes(vmdk_around(descriptor(str(secret)))),
        "backing": lambda: overlay(image, "qcow2", secret),
        "qed": lambda: overlay(image, "qed", secret),
        "plain": lambda: overlay(image, "qcow2", secret),
    }[name]()
    words = ("qemu-img", "convert", "-O", "raw", sandbox.blocks(image_format), sandbox.OUT)
    writing = sandbox.Writing(str(flat), 16 * MIB)
    with suppress(CommandFailed):
        run = partial(sandbox.run_on, deadline=30, step="qemu-img convert", writing=writing)
        run(place.workspace, place.local, str(image), sandbox.tool("unchecked", *words, writes=True))
    assert SECRET[:20] not in (flat.read_bytes() if flat.exists() else b"")


def inside(place: Place, node: Target, image: Path, script: str, **limits: float) -> str:
    tool = sandbox.tool("a script", "sh", "-c", script)
    return sandbox.run_on(
        place.workspace, node, str(image), tool, deadline=30, step="a script", **limits
    ).decode()  # fmt: skip


def test_the_place_has_the_image_alone_and_no_right(place: Place, node: Target, secret: Path) -> None:
    seen = inside(
        place, node, secret,
        "id -u; id -G; ls -A / | tr '\\n' ' '; echo; cat /proc/self/status /etc/shadow; ls /dev /home /root; "
        "echo $RAVADA_SECRET$HOME; touch /usr/x /x; kill -9 -1; exit 0",
    ).splitlines()  # fmt: skip
    user, groups, names, *others = seen
    assert (user, groups) == (str(sandbox.USER), str(sandbox.USER))
    assert set(names.split()) - {"bin", "sbin", "lib", "lib32", "lib64", "libx32"} == {"image", "usr"}
    assert [line for line in others if line.strip()] == []


def test_it_can_neither_take_rights_back_nor_reach_a_network(place: Place, secret: Path) -> None:
    for script in (
        "setpriv --reuid=0 true",
        "chroot / true",
        "unshare --mount true",
        "unshare --user --map-root-user chroot / mount --rbind / /usr",
    ):
        with pytest.raises(CommandFailed):
            inside(place, place.local, secret, script)
    reach = f"bash -c 'exec 5<>/dev/tcp/{place.sshd.address}/{place.sshd.port}'"
    with pytest.raises(CommandFailed, match="connect: "):
        inside(place, place.local, secret, reach)


def test_it_takes_no_more_memory_and_time_than_it_may(place: Place, secret: Path) -> None:
    limits = inside(place, place.local, secret, "ulimit -v; ulimit -p; ulimit -c").split()
    assert limits == [str(sandbox.MEMORY_KIB), str(sandbox.MOST_PROCESSES), "0"]
    with pytest.raises(ImageRefused) as refused:
        inside(place, place.local, secret, "while :; do :; done", cpu_seconds=1)
    assert refused.value.message.kind == "remote.beyond_limits"


def test_it_writes_no_more_than_it_may(place: Place, tmp_path: Path, secret: Path) -> None:
    out = tmp_path / "out"
    run = partial(sandbox.run_on, deadline=30, step="x", writing=sandbox.Writing(str(out), 4096))
    with pytest.raises(RemoteError):
        tool = sandbox.tool("too much", "sh", "-c", "cat /usr/bin/env > /out", writes=True)
        run(place.workspace, place.local, str(secret), tool)
    assert (out.stat().st_size, out.stat().st_uid) == (4096, 0)


def test_a_name_that_is_taken_is_written_anew_and_no_link_followed(place: Place, tmp_path: Path, secret: Path) -> None:
    image, out = tmp_path / "image.qcow2", tmp_path / "out"
    qemu_img("create", "-q", "-f", "qcow2", image, "1M")
    out.symlink_to(secret)
    images.flatten(place.workspace, place.local, str(image), "qcow2", str(out))
    assert not out.is_symlink() and secret.read_bytes().startswith(SECRET)
    assert (out.stat().st_uid, out.stat().st_mode & 0o777) == (0, 0o600)


@pytest.mark.parametrize("image_format", ["vmdk", "vdi", "vhdx", "raw", "qcow2"])
def test_one_file_of_each_format_that_is_read_becomes_the_same_disk(
    place: Place, tmp_path: Path, image_format: str
) -> None:
    plain, image, flat = tmp_path / "plain", tmp_path / "a, b=c", tmp_path / "flat"
    plain.write_bytes(os.urandom(MIB) + bytes(MIB) + os.urandom(MIB))
    qemu_img("convert", "-f", "raw", "-O", image_format, plain, image)
    image.chmod(0o600)
    images.flatten(place.workspace, place.local, str(image), image_format, str(flat))
    qemu_img("compare", "-f", "raw", "-F", "qcow2", plain, flat)


def test_a_host_that_cannot_make_the_place_is_not_called_a_bad_image(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, programs = tmp_path / "image", tmp_path / "bin"
    qemu_img("create", "-q", "-f", "qcow2", image, "1M")
    programs.mkdir()
    for program in ("unshare", "mount", "qemu-nbd"):
        (programs / program).write_text("#!/bin/sh\necho not here >&2\nexit 1\n")
        (programs / program).chmod(0o755)
        with monkeypatch.context() as patch:
            patch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
            with pytest.raises(CommandFailed, match="not here"):
                images.inspect(place.workspace, place.local, str(image), "qcow2", deadline=30)
        (programs / program).unlink()


def test_room_is_measured_by_what_is_written(place: Place, tmp_path: Path) -> None:
    image = bomb(tmp_path / "bomb", 1 << 30)
    assert image.stat().st_size < MIB
    assert images.measure(place.workspace, place.local, str(image), "qcow2", deadline=60) > 1 << 30


def test_an_image_that_takes_too_long_is_given_up(place: Place, tmp_path: Path) -> None:
    image = bomb(tmp_path / "bomb", 4 << 40)
    with pytest.raises(RemoteError):
        images.measure(place.workspace, place.local, str(image), "qcow2", deadline=1)


def test_a_file_that_is_copied_is_a_plain_one_and_bounded(place: Place, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    (tmp_path / "link").symlink_to(tmp_path / "a")

    def copy(name: str) -> bytes:
        copied = str(tmp_path / "copy")
        foreign_files.copy_within(place.workspace, place.local, str(tmp_path / name), copied, 4, deadline=30)
        return (tmp_path / "copy").read_bytes()

    assert copy("a") == b"0123"
    with pytest.raises(ImageRefused):
        copy("link")


def test_the_most_of_a_disk_is_what_is_refused_beyond(place: Place, tmp_path: Path) -> None:
    image = tmp_path / "large"
    image.touch()
    os.truncate(image, 15 << 40)
    info = images.inspect(place.workspace, place.local, str(image), "raw", deadline=30)
    assert info.virtual_size == 15 << 40 < image_headers.MOST_VIRTUAL
