"""Disk images on a node: what one is, making one whole, hashing it, publishing it. One command each."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

from ravada_web.messages import message
from ravada_web.messages.foreign import printable
from ravada_web.remote.commands import run
from ravada_web.remote.errors import CommandFailed, ImageRefused, UnreadableAnswer
from ravada_web.remote.files import MOST_BYTES, file_size, free_space, list_files, remove_files
from ravada_web.remote.overlays import make_overlays, make_template
from ravada_web.remote.sampling import Sample, sample
from ravada_web.remote.target import Target, Workspace, checked_path

__all__ = [
    "ImageInfo",
    "Sample",
    "block_manifest",
    "ensure_self_contained",
    "file_size",
    "flatten",
    "free_space",
    "has_encrypted_content",
    "inspect",
    "list_files",
    "make_overlays",
    "make_template",
    "publish",
    "remove_files",
    "replace",
    "sample",
    "sha256",
]

BLOCK_SIZE = 4 * 1024 * 1024
# A line of 68 bytes a block: those of a disk of 3 TiB.
MOST_DIGESTS = 64 << 20
HASH_SECONDS = 3600.0
INSPECT_SECONDS = 30.0
FLATTEN_SECONDS = 12 * 3600.0
LUKS = b"LUKS\xba\xbe"
PERCENT = re.compile(rb"\((\d+(?:\.\d+)?)/100%\)")

# openssl hashes several times faster than Debian's sha256sum, but is not on every node.
HASH = "if command -v openssl >/dev/null; then hash='openssl dgst -sha256 -r'; else hash=sha256sum; fi; "
HASH_FILE = HASH + '$hash < "$1"'
HASH_BLOCKS = HASH + 'SHELL=/bin/sh; export SHELL; exec split -b "$2" --filter="$hash" -- "$1"'

# 4: the name is taken by something else.
TAKEN = 4
PUBLISH = (
    HASH
    + """
same() { seen=$($hash < "$1") && [ "${seen%% *}" = "$2" ]; }
moved=
if [ -e "$1" ]; then
    chmod 0444 -- "$1" && sync -- "$1" || exit 1
    mv -n -T -- "$1" "$2" || :
    [ -e "$1" ] || moved=yes
fi
if [ -z "$moved" ]; then
    same "$2" "$3" || exit 4
    rm -f -- "$1"
fi
sync -- "$(dirname -- "$2")"
"""
)

# The name goes to the new file at once: those who have the former one open go on reading that.
REPLACE = """
chmod 0444 -- "$1" && sync -- "$1" && mv -f -T -- "$1" "$2" && sync -- "$(dirname -- "$2")"
"""


@dataclass(frozen=True)
class ImageInfo:
    """What `qemu-img info` says of an image; sizes in bytes, `actual_size` being what it takes on disk. `corrupt` is
    QEMU's own mark of damaged metadata; `snapshots` and `bitmaps` are the names of those inside it."""

    format: str
    virtual_size: int
    actual_size: int
    backing_file: str | None
    data_file: str | None
    encrypted: bool
    corrupt: bool = False
    snapshots: tuple[str, ...] = ()
    bitmaps: tuple[str, ...] = ()


def inspect(
    workspace: Workspace,
    target: Target,
    path: str,
    image_format: str | None = "qcow2",
    *,
    deadline: float,
) -> ImageInfo:
    """Read an image's header, taking it for `image_format` (None: let QEMU guess); the file may be in use.

    Raises ImageRefused when it is missing or of another format.
    """
    forced = ["-f", image_format] if image_format else []
    argv = ["qemu-img", "info", "--output=json", "-U", *forced, "--", checked_path(path)]
    try:
        raw = run(workspace, target, argv, deadline=deadline, step="qemu-img info")
    except CommandFailed as error:
        if error.status != 1:
            raise
        raise ImageRefused(
            message("remote.not_of_format", path=path, name=target.name, format=image_format, said=error.stderr)
            if image_format
            else message("remote.no_image", path=path, name=target.name, said=error.stderr)
        ) from error
    try:
        return _info(json.loads(raw))
    except (KeyError, TypeError, ValueError) as error:
        raise UnreadableAnswer(message("remote.unreadable", step="qemu-img info", name=target.name)) from error


def _info(seen: dict[str, object]) -> ImageInfo:
    specific = seen.get("format-specific")
    data = specific.get("data", {}) if isinstance(specific, dict) else {}
    return ImageInfo(
        format=str(seen["format"]),
        virtual_size=_size(seen["virtual-size"]),
        actual_size=_size(seen["actual-size"]),
        backing_file=_text(seen.get("backing-filename")),
        data_file=_text(data.get("data-file")) or _text(data.get("data-file-raw") and "unnamed"),
        encrypted=bool(seen.get("encrypted")) or seen["format"] == "luks",
        corrupt=bool(data.get("corrupt")),
        snapshots=_names(seen.get("snapshots")),
        bitmaps=_names(data.get("bitmaps")),
    )


def _names(rows: object) -> tuple[str, ...]:
    return (
        tuple(printable(str(row.get("name"))) for row in rows if isinstance(row, dict))
        if isinstance(rows, list)
        else ()
    )


def _size(value: object) -> int:
    """Bytes. Raises ValueError for what is no size of a file."""
    size = int(str(value))
    if not 0 <= size < MOST_BYTES:
        raise ValueError(value)
    return size


def _text(value: object) -> str | None:
    return printable(str(value)) if value else None


def ensure_self_contained(info: ImageInfo) -> None:
    """Raise ImageRefused for a damaged or an encrypted image, or one that names other files: it could read any of the
    host's."""
    if info.corrupt:
        raise ImageRefused(message("remote.corrupt"))
    if info.backing_file:
        raise ImageRefused(message("remote.backing_file", path=info.backing_file))
    if info.data_file:
        raise ImageRefused(message("remote.data_file", path=info.data_file))
    if info.encrypted:
        raise ImageRefused(message("remote.encrypted"))


def has_encrypted_content(workspace: Workspace, target: Target, path: str, info: ImageInfo, *, deadline: float) -> bool:
    """Whether what the guest sees of a self-contained image begins as a LUKS volume."""
    if info.virtual_size < len(LUKS):
        return False
    read = f"read -v 0 {len(LUKS)}"
    argv = ["qemu-io", "-r", "-U", "-f", info.format, "-c", read, "--", checked_path(path)]
    dump = run(workspace, target, argv, deadline=deadline, step="qemu-io")
    return LUKS.hex(" ") in dump.decode(errors="replace").partition("\n")[0]


def flatten(
    workspace: Workspace,
    target: Target,
    source: str,
    source_format: str,
    dest: str,
    on_progress: Callable[[float], None] | None = None,
    deadline: float = FLATTEN_SECONDS,
) -> None:
    """Write the whole of an image as one qcow2 to `dest`, a temporary name that is overwritten.

    `on_progress` gets percent; what it raises ends the work here (the far process goes on until it is done).
    """
    step = "qemu-img convert"
    paths = [checked_path(source), checked_path(dest)]
    argv = ["qemu-img", "convert", "-p", "-f", source_format, "-O", "qcow2", "--", *paths]

    def report(output: bytes) -> None:
        if on_progress and (percents := PERCENT.findall(output)):
            on_progress(float(percents[-1]))

    run(workspace, target, argv, deadline=deadline, step=step, on_output=report)


def hash_seconds(size: int) -> float:
    """A deadline for reading and hashing `size` bytes on a slow disk (10 MB/s)."""
    return 60 + size / 10_000_000


def sha256(workspace: Workspace, target: Target, path: str, deadline: float = HASH_SECONDS) -> str:
    """The file's SHA-256, in hex."""
    argv = ["sh", "-c", HASH_FILE, "sh", checked_path(path)]
    return _digests(target, run(workspace, target, argv, deadline=deadline, step=message("remote.step_hash")))[0]


def block_manifest(
    workspace: Workspace,
    target: Target,
    path: str,
    block_size: int = BLOCK_SIZE,
    *,
    deadline: float = HASH_SECONDS,
) -> list[str]:
    """The SHA-256, in hex, of each block of `block_size` bytes, the last one being what is left."""
    argv = ["sh", "-c", HASH_BLOCKS, "sh", checked_path(path), str(block_size)]
    raw = run(workspace, target, argv, deadline=deadline, step=message("remote.step_hash"), most=MOST_DIGESTS)
    return _digests(target, raw) if raw else []


def _digests(target: Target, raw: bytes) -> list[str]:
    digests = [line.split()[0] if line.strip() else "" for line in raw.decode(errors="replace").splitlines()]
    if not digests or not all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in digests):
        raise UnreadableAnswer(message("remote.unreadable", step=message("remote.step_hash"), name=target.name))
    return digests


def publish(
    workspace: Workspace,
    target: Target,
    temporary: str,
    final: str,
    digest: str,
    deadline: float = HASH_SECONDS,
) -> None:
    """Give a finished file its name, read-only and synced to disk; never overwrites.

    Where the name is taken, the file there is hashed: is it `digest` (hex SHA-256), the work was done before
    and the temporary file goes; is it not, ImageRefused is raised and both files stay.
    """
    paths = [checked_path(temporary), checked_path(final)]
    argv = ["sh", "-c", PUBLISH, "sh", *paths, digest]
    try:
        run(workspace, target, argv, deadline=deadline, step=message("remote.step_publish"))
    except CommandFailed as error:
        if error.status != TAKEN:
            raise
        raise ImageRefused(message("remote.name_taken", path=final, name=target.name)) from error


def replace(workspace: Workspace, target: Target, temporary: str, final: str, deadline: float = HASH_SECONDS) -> None:
    """Give a verified file its name, read-only and synced to disk, in place of a damaged file of ours."""
    argv = ["sh", "-c", REPLACE, "sh", checked_path(temporary), checked_path(final)]
    run(workspace, target, argv, deadline=deadline, step=message("remote.step_publish"))
