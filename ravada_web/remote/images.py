"""Disk images on a node: what one is, making one whole, hashing it, publishing it."""

import re

from ravada_web.messages import message
from ravada_web.remote.commands import run
from ravada_web.remote.errors import CommandFailed, ImageRefused, UnreadableAnswer
from ravada_web.remote.files import file_size, free_space, list_files, remove_files
from ravada_web.remote.foreign_images import (
    INSPECT_SECONDS,
    ImageInfo,
    ensure_self_contained,
    flatten,
    flatten_layers,
    has_encrypted_content,
    inspect,
    measure,
    measure_layers,
    read_header,
    read_layers,
)
from ravada_web.remote.overlays import make_empty, make_overlays, make_template
from ravada_web.remote.sampling import Sample, sample
from ravada_web.remote.target import Target, Workspace
from ravada_web.remote.verbs import DIGEST, FILE, NUMBER, script

__all__ = [
    "INSPECT_SECONDS",
    "ImageInfo",
    "Sample",
    "block_manifest",
    "ensure_self_contained",
    "file_size",
    "flatten",
    "flatten_layers",
    "free_space",
    "has_encrypted_content",
    "inspect",
    "list_files",
    "make_empty",
    "make_overlays",
    "make_template",
    "measure",
    "measure_layers",
    "publish",
    "read_header",
    "read_layers",
    "remove_files",
    "replace",
    "sample",
    "sha256",
]

BLOCK_SIZE = 4 * 1024 * 1024
# A line of 68 bytes a block: those of a disk of 3 TiB.
MOST_DIGESTS = 64 << 20
HASH_SECONDS = 3600.0

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


WHOLE_HASH = script("hash", HASH_FILE, FILE)
BLOCK_HASHES = script("hash_blocks", HASH_BLOCKS, FILE, NUMBER)
PUBLISHING = script("publish", PUBLISH, FILE, FILE, DIGEST)
REPLACING = script("replace", REPLACE, FILE, FILE)


def hash_seconds(size: int) -> float:
    """A deadline for reading and hashing `size` bytes on a slow disk (10 MB/s)."""
    return 60 + size / 10_000_000


def sha256(workspace: Workspace, target: Target, path: str, deadline: float = HASH_SECONDS) -> str:
    """The file's SHA-256, in hex."""
    raw = run(workspace, target, WHOLE_HASH(path), deadline=deadline, step=message("remote.step_hash"))
    return _digests(target, raw)[0]


def block_manifest(
    workspace: Workspace,
    target: Target,
    path: str,
    block_size: int = BLOCK_SIZE,
    *,
    deadline: float = HASH_SECONDS,
) -> list[str]:
    """The SHA-256, in hex, of each block of `block_size` bytes, the last one being what is left."""
    call, step = BLOCK_HASHES(path, block_size), message("remote.step_hash")
    raw = run(workspace, target, call, deadline=deadline, step=step, most=MOST_DIGESTS)
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
    call = PUBLISHING(temporary, final, digest)
    try:
        run(workspace, target, call, deadline=deadline, step=message("remote.step_publish"))
    except CommandFailed as error:
        if error.status != TAKEN:
            raise
        raise ImageRefused(message("remote.name_taken", path=final, name=target.name)) from error


def replace(workspace: Workspace, target: Target, temporary: str, final: str, deadline: float = HASH_SECONDS) -> None:
    """Give a verified file its name, read-only and synced to disk, in place of a damaged file of ours."""
    run(workspace, target, REPLACING(temporary, final), deadline=deadline, step=message("remote.step_publish"))
