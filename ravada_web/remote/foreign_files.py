"""Files of a node that others have made: opened only where they are plain files, and never by way of a link."""

import base64
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from ravada_web.messages import message
from ravada_web.messages.foreign import MOST_BYTES, whole
from ravada_web.remote.commands import run
from ravada_web.remote.errors import CommandFailed, ImageRefused
from ravada_web.remote.files import BLOCK
from ravada_web.remote.reading import reading
from ravada_web.remote.target import Target, Workspace
from ravada_web.remote.verbs import FILE, IMAGE, NUMBER, script

# Of many files at once so much is read: a header of our own making, with the name of its backing file.
HEADS_BYTES = 4096
# So many in one command.
MOST_HEADS = 500
_OPEN = """
image=$1; shift
[ ! -h "$image" ] || exit 21
if [ -e "$image" ]; then
    [ -f "$image" ] || exit 22
    seen=$(stat -c %d:%i -- "$image") || exit 1
fi
exec 3< "$image" || exit 1
[ -f /proc/self/fd/3 ] && [ "$(stat -L -c %d:%i /proc/self/fd/3)" = "$seen" ] || exit 22
[ "$(stat -L -c %h /proc/self/fd/3)" = 1 ] || exit 23
"""
# Opens "$1" as 3 (or 4) and shifts: a plain file that has this name alone. What takes its place meanwhile is seen.
OPEN, OPEN_FOURTH = _OPEN, _OPEN.replace("exec 3<", "exec 4<").replace("/fd/3", "/fd/4")
_REFUSALS: Mapping[int, str] = {21: "link", 22: "kind", 23: "names"}
_HEAD = OPEN + "stat -L -c '%s %b' /proc/self/fd/3 && head -c \"$1\" <&3"
_COPY = OPEN + 'umask 077; exec head -c "$2" <&3 > "$1"'
# A file that cannot be read has no head.
_HEADS = f"""
for path; do
    printf '%s\\0' "$path"
    (set -- "$path" {HEADS_BYTES}
    {OPEN}
    head -c "$1" <&3) 2>/dev/null | base64
    printf '\\0'
done
"""
READ_HEADS = script("read_heads", _HEADS, each=IMAGE)
READ_HEAD = script("read_head", _HEAD, IMAGE, NUMBER)
COPY_WITHIN = script("copy_within", _COPY, IMAGE, FILE, NUMBER)


@dataclass(frozen=True)
class Head:
    """A file's first bytes, its length in bytes, and what it takes of the disk."""

    raw: bytes
    size: int
    allocated: int


@contextmanager
def refusing(path: str) -> Iterator[None]:
    """Make of OPEN's refusals ImageRefused with the reason."""
    try:
        yield
    except CommandFailed as error:
        if error.status in _REFUSALS:
            raise ImageRefused(message(f"remote.not_plain_{_REFUSALS[error.status]}", path=path)) from error
        raise


def read_head(workspace: Workspace, target: Target, path: str, most: int, *, deadline: float) -> Head:
    """Read a file's first bytes, `most` at most. Raises ImageRefused for what is no plain file of one name, and
    CommandFailed where it is missing."""
    step = message("remote.step_read_header")
    with refusing(path):
        raw = run(workspace, target, READ_HEAD(path, most), deadline=deadline, step=step)
    line, _newline, head = raw.partition(b"\n")
    size, _blank, blocks = line.partition(b" ")
    with reading(target.name, step):
        return Head(head, whole(size), whole(blocks, MOST_BYTES // BLOCK) * BLOCK)


def read_heads(workspace: Workspace, target: Target, paths: Sequence[str], *, deadline: float) -> dict[str, bytes]:
    """The first HEADS_BYTES of each of these files, by path; those that are no plain files of one name are left out."""
    step, heads = message("remote.step_read_header"), {}
    for at in range(0, len(paths), MOST_HEADS):
        call = READ_HEADS(*paths[at : at + MOST_HEADS])
        raw = run(workspace, target, call, deadline=deadline, step=step, most=MOST_HEADS * 4 * HEADS_BYTES)
        said = iter(raw.split(b"\0"))
        for path, head in zip(said, said, strict=False):
            with suppress(ValueError):
                heads[os.fsdecode(path)] = base64.b64decode(b"".join(head.split()), validate=True)
    return {path: heads[path] for path in paths if heads.get(path)}


def copy_within(workspace: Workspace, target: Target, source: str, dest: str, most: int, *, deadline: float) -> None:
    """Copy a file, or its first `most` bytes, to another place of the same node, for its owner alone; `dest`, a
    temporary name, is overwritten. Raises ImageRefused for what is no plain file of one name."""
    call, step = COPY_WITHIN(source, dest, most), message("remote.step_copy_within")
    with refusing(source):
        run(workspace, target, call, deadline=deadline, step=step)
