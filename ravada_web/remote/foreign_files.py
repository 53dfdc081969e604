"""Files of a node that others have made: opened only where they are plain files, and never by way of a link."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from ravada_web.messages import message
from ravada_web.messages.foreign import MOST_BYTES, whole
from ravada_web.remote.commands import run
from ravada_web.remote.errors import CommandFailed, ImageRefused
from ravada_web.remote.files import BLOCK
from ravada_web.remote.reading import reading
from ravada_web.remote.target import Target, Workspace
from ravada_web.remote.verbs import FILE, IMAGE, NUMBER, script

# Opens "$1" as 3 and shifts: a plain file that has this name alone. What takes its place meanwhile is seen.
OPEN = """
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
_REFUSALS: Mapping[int, str] = {21: "link", 22: "kind", 23: "names"}
_HEAD = OPEN + "stat -L -c '%s %b' /proc/self/fd/3 && head -c \"$1\" <&3"
_COPY = OPEN + 'umask 077; exec head -c "$2" <&3 > "$1"'
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


def copy_within(workspace: Workspace, target: Target, source: str, dest: str, most: int, *, deadline: float) -> None:
    """Copy a file, or its first `most` bytes, to another place of the same node, for its owner alone; `dest`, a
    temporary name, is overwritten. Raises ImageRefused for what is no plain file of one name."""
    call, step = COPY_WITHIN(source, dest, most), message("remote.step_copy_within")
    with refusing(source):
        run(workspace, target, call, deadline=deadline, step=step)
