"""Disk images on a node with the real qemu-img: refused, flattened, hashed, published, cloned by the batch."""

import hashlib
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ravada_web.remote import images, overlays
from ravada_web.remote.errors import CommandFailed, ImageRefused
from ravada_web.remote.target import Target
from tests.support.sshd import Place

MIB = 1024 * 1024


def qemu_img(*words: object) -> None:
    subprocess.run(["qemu-img", *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def filled(path: Path, size: int = 3 * MIB) -> Path:
    """A qcow2 of 16 MiB with some data in it."""
    raw = path.with_suffix(".raw")
    raw.write_bytes(os.urandom(size))
    os.truncate(raw, 16 * MIB)
    qemu_img("convert", "-f", "raw", "-O", "qcow2", raw, path)
    raw.unlink()
    return path


def backing_of(path: Path) -> str:
    seen = subprocess.run(["qemu-img", "info", "--output=json", path], check=True, capture_output=True).stdout
    return str(json.loads(seen)["backing-filename"])


def inspect(place: Place, path: Path, image_format: str = "qcow2") -> images.ImageInfo:
    return images.inspect(place.workspace, place.target, str(path), image_format, deadline=10)


def test_a_plain_image(place: Place, node: Target, tmp_path: Path) -> None:
    image = filled(tmp_path / "it's.qcow2")
    info = images.inspect(place.workspace, node, str(image), "qcow2", deadline=10)
    assert (info.format, info.virtual_size, info.backing_file, info.data_file) == ("qcow2", 16 * MIB, None, None)
    assert not info.encrypted
    images.ensure_self_contained(info)


def test_a_missing_image_is_refused(place: Place, tmp_path: Path) -> None:
    with pytest.raises(ImageRefused, match="No such file"):
        inspect(place, tmp_path / "missing.qcow2")


def test_a_text_is_no_qcow2(place: Place, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello\n" * 200)
    with pytest.raises(ImageRefused, match=r"cannot be read as a qcow2 image.*not in qcow2 format"):
        inspect(place, tmp_path / "text")


def test_an_image_with_a_backing_file_is_refused(place: Place, tmp_path: Path) -> None:
    # It need not be there, nor be an image: it is a way to read any file of the host.
    qemu_img("create", "-u", "-f", "qcow2", "-F", "raw", "-b", "/etc/shadow", tmp_path / "thief", "1M")
    with pytest.raises(ImageRefused, match=r"backing file \(/etc/shadow\)"):
        images.ensure_self_contained(inspect(place, tmp_path / "thief"))


def test_the_name_of_a_backing_file_is_made_printable(place: Place, tmp_path: Path) -> None:
    qemu_img("create", "-u", "-f", "qcow2", "-F", "raw", "-b", "/etc/\u202ewodahs\x1b[2J", tmp_path / "thief", "1M")
    with pytest.raises(ImageRefused, match=r"backing file \(/etc/ wodahs \[2J\)"):
        images.ensure_self_contained(inspect(place, tmp_path / "thief"))


def test_an_image_with_a_data_file_is_refused(place: Place, tmp_path: Path) -> None:
    data = tmp_path / "data.raw"
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={data},data_file_raw=on", tmp_path / "outside", "1M")
    with pytest.raises(ImageRefused, match="keeps its data in another file"):
        images.ensure_self_contained(inspect(place, tmp_path / "outside"))


def test_an_encrypted_image_is_refused(place: Place, tmp_path: Path) -> None:
    # Not LUKS: qemu-img times the processor to make such an image, and now and then fails on a busy one.
    options = ["-o", "encrypt.format=aes,encrypt.key-secret=s"]
    qemu_img("create", "--object", "secret,id=s,data=x", "-f", "qcow2", *options, tmp_path / "secret", "1M")
    with pytest.raises(ImageRefused, match="encrypted"):
        images.ensure_self_contained(inspect(place, tmp_path / "secret"))


def test_a_damaged_image_is_refused(place: Place, tmp_path: Path) -> None:
    path = filled(tmp_path / "damaged")
    with path.open("r+b") as image:
        image.seek(79)
        image.write(b"\x02")  # QEMU's own mark: bit 1 of the incompatible features
    with pytest.raises(ImageRefused, match="marked the image as damaged"):
        images.ensure_self_contained(inspect(place, path))


def test_what_is_inside_and_not_copied_is_named(place: Place, tmp_path: Path) -> None:
    path = filled(tmp_path / "kept")
    qemu_img("snapshot", "-c", "before", path)
    qemu_img("bitmap", "--add", path, "backup-1")
    info = inspect(place, path)
    images.ensure_self_contained(info)
    assert (info.snapshots, info.bitmaps) == (("before",), ("backup-1",))
    for number in range(20):
        qemu_img("snapshot", "-c", str(number), path)
    assert inspect(place, path).snapshots == ("before", *map(str, range(19)), "…")


@pytest.mark.parametrize("image_format", ["raw", "qcow2"])
def test_luks_is_seen_in_any_container(place: Place, node: Target, tmp_path: Path, image_format: str) -> None:
    plain, path = tmp_path / "plain", tmp_path / "image"
    for content, encrypted in ((b"LUKS\xba\xbe\x00\x02", True), (b"\x00LUKS\xba\xbe", False)):
        plain.write_bytes(content.ljust(4096, b"\0"))
        qemu_img("convert", "-f", "raw", "-O", image_format, plain, path)
        info = inspect(place, path, image_format)
        seen = images.has_encrypted_content(place.workspace, node, str(path), info, deadline=10)
        assert seen is encrypted


def test_flatten_makes_one_whole_image(place: Place, node: Target, tmp_path: Path) -> None:
    source = filled(tmp_path / "source.qcow2")
    seen: list[float] = []
    flat = tmp_path / "flat"
    images.flatten(place.workspace, node, str(source), "qcow2", str(flat), on_progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 100
    images.ensure_self_contained(inspect(place, flat))
    qemu_img("compare", "-f", "qcow2", "-F", "qcow2", source, flat)


def test_flatten_of_what_is_no_image_fails(place: Place, node: Target, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello\n" * 200)
    with pytest.raises(ImageRefused, match="not in qcow2 format"):
        images.flatten(place.workspace, node, str(tmp_path / "text"), "qcow2", str(tmp_path / "flat"))


def test_hashes_are_those_of_hashlib(place: Place, node: Target, tmp_path: Path) -> None:
    content = os.urandom(2 * MIB + 77)
    path = tmp_path / "some file"
    path.write_bytes(content)
    assert images.sha256(place.workspace, node, str(path)) == hashlib.sha256(content).hexdigest()
    blocks = [content[at : at + MIB] for at in range(0, len(content), MIB)]
    expected = [hashlib.sha256(block).hexdigest() for block in blocks]
    assert images.block_manifest(place.workspace, node, str(path), MIB) == expected


def test_an_empty_file_has_no_blocks_and_a_missing_one_no_hash(place: Place, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert images.block_manifest(place.workspace, place.target, str(tmp_path / "empty")) == []
    for hashing in (images.sha256, images.block_manifest):
        with pytest.raises(CommandFailed):
            hashing(place.workspace, place.target, str(tmp_path / "missing"))


def publish(place: Place, node: Target, folder: Path, content: bytes) -> None:
    paths = (str(folder / "part"), str(folder / "final"))
    images.publish(place.workspace, node, *paths, hashlib.sha256(content).hexdigest())


def test_publish_renames_and_makes_read_only(place: Place, node: Target, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(b"whole")
    publish(place, node, tmp_path, b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["final"]
    assert (tmp_path / "final").stat().st_mode & 0o777 == 0o444
    publish(place, node, tmp_path, b"whole")  # the job again, its temporary file gone


def test_publish_accepts_the_same_content_done_before(place: Place, node: Target, tmp_path: Path) -> None:
    (tmp_path / "final").write_bytes(b"whole")
    (tmp_path / "part").write_bytes(b"whole")
    publish(place, node, tmp_path, b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["final"]


def test_publish_never_overwrites(place: Place, node: Target, tmp_path: Path) -> None:
    (tmp_path / "final").write_bytes(b"somebody's")
    (tmp_path / "part").write_bytes(b"whole")
    with pytest.raises(ImageRefused, match="Nothing was overwritten"):
        publish(place, node, tmp_path, b"whole")
    assert (tmp_path / "final").read_bytes() == b"somebody's"
    assert (tmp_path / "part").exists()


def test_publish_without_any_file_is_told(place: Place, tmp_path: Path) -> None:
    with pytest.raises(ImageRefused, match="has gone"):
        publish(place, place.target, tmp_path, b"whole")


def make_template(place: Place, node: Target, folder: Path) -> tuple[str, str]:
    base, template = str(filled(folder / "base.qcow2")), str(folder / "template")
    images.make_template(place.workspace, node, base, template, 16 * MIB, "op-1-1")
    return base, template


def test_a_template_is_an_overlay_and_may_be_made_again(place: Place, node: Target, tmp_path: Path) -> None:
    base, template = make_template(place, node, tmp_path)
    images.make_template(place.workspace, node, base, template, 64 * MIB, "op-1-2")
    assert backing_of(Path(template)) == base
    assert inspect(place, Path(template)).virtual_size == 64 * MIB
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base.qcow2", "template"]
    with pytest.raises(CommandFailed, match="making the overlay template"):
        images.make_template(place.workspace, node, str(tmp_path / "missing"), template, 64 * MIB, "op-1-3")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base.qcow2", "template"]


def test_a_hundred_overlays_twice_at_once_and_none_is_overwritten(place: Place, tmp_path: Path) -> None:
    base, template = make_template(place, place.target, tmp_path)
    pool = tmp_path / "pool"
    pool.mkdir()
    paths = [str(pool / f"-clone {number}.qcow2") for number in range(100)]
    Path(paths[3]).write_bytes(b"somebody's work")

    def make(token: str) -> None:
        images.make_overlays(place.workspace, place.target, template, paths, token, deadline=60)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(make, ["op-1-1", "op-1-1", "op-1-2", "op-1-2"]))
    inodes = [Path(path).stat().st_ino for path in paths]
    make("op-1-3")
    assert [Path(path).stat().st_ino for path in paths] == inodes
    assert Path(paths[3]).read_bytes() == b"somebody's work"
    assert sorted(path.name for path in pool.iterdir()) == sorted(Path(path).name for path in paths)
    assert backing_of(Path(paths[0])) == base
    assert Path(paths[99]).stat().st_mode & 0o077 == 0


def test_overlays_without_a_template_fail_and_leave_nothing(place: Place, node: Target, tmp_path: Path) -> None:
    paths = [str(tmp_path / "a"), str(tmp_path / "b")]
    with pytest.raises(CommandFailed, match="making overlays failed"):
        images.make_overlays(place.workspace, node, str(tmp_path / "missing"), paths, "op-1-1", deadline=10)
    assert list(tmp_path.iterdir()) == []


def test_an_overlay_made_anew_has_nothing_of_what_was_there(place: Place, node: Target, tmp_path: Path) -> None:
    template, path = tmp_path / "template", tmp_path / "c.qcow2"
    template.write_bytes(b"empty")
    for before in (None, b"blocks of a former try"):
        if before:
            path.write_bytes(before)
        overlays.make_anew(place.workspace, node, str(template), str(path), "op-1-1")
        assert path.read_bytes() == b"empty"
    assert sorted(tmp_path.iterdir()) == [path, template]


def test_overlays_are_of_one_folder_under_a_plain_token(place: Place) -> None:
    for paths, token in ((["/a/x", "/b/x"], "t"), (["/a/x"], "../t")):
        with pytest.raises(ValueError, match=r"one folder|not a text of this kind: '../t'"):
            images.make_overlays(place.workspace, place.target, "/t", paths, token, deadline=10)
    images.make_overlays(place.workspace, place.target, "/t", [], "t", deadline=10)


def layered(tmp_path: Path) -> tuple[Path, Path, bytes]:
    """A base, a thin disk on it with something written to it, and what a guest reads of that."""
    base, thin, raw = filled(tmp_path / "base.qcow2"), tmp_path / "thin it's.qcow2", tmp_path / "all"
    qemu_img("create", "-f", "qcow2", "-F", "qcow2", "-b", base, thin)
    subprocess.run(["qemu-io", "-c", "write -P 7 1M 64k", thin], check=True, stdout=subprocess.DEVNULL)
    qemu_img("convert", "-f", "qcow2", "-O", "raw", thin, raw)
    return base, thin, raw.read_bytes()


def test_a_thin_disk_and_its_base_become_one_image(place: Place, node: Target, tmp_path: Path) -> None:
    base, thin, content = layered(tmp_path)
    both = images.read_layers(place.workspace, node, str(thin), {str(base)})
    most = images.measure_layers(place.workspace, node, both)
    percents: list[float] = []
    whole = tmp_path / ".whole.op-1-1.part"
    images.flatten_layers(place.workspace, node, both, str(whole), most, percents.append)
    assert percents[-1] == 100 and whole.stat().st_size <= most
    assert inspect(place, whole).backing_file is None
    qemu_img("convert", "-f", "qcow2", "-O", "raw", whole, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == content


def test_a_thin_disk_is_joined_with_nothing_but_a_base_that_is_allowed(place: Place, tmp_path: Path) -> None:
    base, thin, _content = layered(tmp_path)
    deep = tmp_path / "deep.qcow2"
    qemu_img("create", "-f", "qcow2", "-F", "qcow2", "-b", thin, deep)
    stolen = tmp_path / "stolen.qcow2"
    qemu_img("create", "-u", "-f", "qcow2", "-F", "raw", "-b", "/etc/shadow", stolen, "1M")
    outside = tmp_path / "outside.qcow2"
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={tmp_path / 'data'}", "-F", "qcow2", "-b", base, outside)
    for path, allowed in ((thin, set()), (stolen, {str(base)}), (base, {str(base)}), (deep, {str(thin)}),
                          (outside, {str(base)})):  # fmt: skip
        with pytest.raises(ImageRefused):
            images.read_layers(place.workspace, place.target, str(path), allowed)
