"""The thin disks of clones: a template overlay for each base disk, and copies of it by the batch."""

from collections.abc import Sequence
from posixpath import basename, dirname

from ravada_web.messages import message
from ravada_web.remote.commands import run
from ravada_web.remote.target import Target, Workspace
from ravada_web.remote.verbs import FILE, FOLDER, NAME, NUMBER, TOKEN, Verb, known, script

FILES_SECONDS = 60.0

# Always the same bytes, so a newer one may replace it; readers of the older one go on reading it. The backing file is
# named in it (-u) and not opened: what is in that need not be known here, only its size.
TEMPLATE = """
backing=$1 template=$2 token=$3 size=$4
[ -f "$backing" ] || { echo "not there: $backing" >&2; exit 1; }
made=$(mktemp -- "${template%/*}/.${template##*/}.$token.XXXXXXXX") || exit 1
trap 'rm -f -- "$made"' EXIT
trap 'exit 1' HUP INT TERM
qemu-img create -q -u -f qcow2 -F qcow2 -b "$backing" -- "$made" "$size" || exit 1
sync -- "$made" && mv -f -T -- "$made" "$template"
"""

# An overlay of the same backing file has the same bytes, so one tee writes them all, many times faster than
# qemu-img. They appear whole or not at all, and one that is there already is somebody's disk: left alone.
OVERLAYS = """
template=$1 directory=$2 token=$3; shift 3
umask 077
made=$(mktemp -d -- "$directory/.$token.XXXXXXXX") || exit 1
trap 'rm -rf -- "$made"' EXIT
trap 'exit 1' HUP INT TERM
cd -- "$made" && tee -- "$@" < "$template" > /dev/null || exit 1
mv -n -t "$directory" -- "$@" || :
cd -- "$directory" || exit 1
for name; do
    [ -f "$name" ] || { echo "not made: $name" >&2; exit 1; }
done
"""

# Whatever is there goes first.
ANEW = 'rm -f -- "$2/$4" || exit 1' + OVERLAYS

# A clone's own file that was copied and verified; the name may be that of an earlier attempt at the same.
PUT_IN_PLACE = 'sync -- "$1" && mv -f -T -- "$1" "$2" && sync -- "$(dirname -- "$2")"'

PUTTING = script("put_in_place", PUT_IN_PLACE, FILE, FILE)
# The backing file is named and not opened: it has the same bytes wherever it is.
REBASE = known(Verb("rebase", ("qemu-img", "rebase", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", FILE, FILE)))
MAKE_TEMPLATE = script("make_template", TEMPLATE, FILE, FILE, TOKEN, NUMBER)
MAKE_OVERLAYS = script("make_overlays", OVERLAYS, FILE, FOLDER, TOKEN, each=NAME)
MAKE_ANEW = script("make_overlay_anew", ANEW, FILE, FOLDER, TOKEN, NAME)
MAKE_EMPTY = known(Verb("make_empty", ("qemu-img", "create", "-q", "-f", "qcow2", FILE, NUMBER)))


def make_empty(workspace: Workspace, target: Target, path: str, virtual_size: int, deadline: float) -> None:
    """Make an empty qcow2 of `virtual_size` bytes; `path`, a temporary name, is overwritten."""
    run(workspace, target, MAKE_EMPTY(path, virtual_size), deadline=deadline, step="qemu-img create")


def make_template(
    workspace: Workspace,
    target: Target,
    backing: str,
    template: str,
    virtual_size: int,
    token: str,
    deadline: float = FILES_SECONDS,
) -> None:
    """Make (or make again) the empty overlay of `backing`, a qcow2 of `virtual_size` bytes. `token` marks what is made
    under a temporary name beside it as this operation's."""
    call = MAKE_TEMPLATE(backing, template, token, virtual_size)
    run(workspace, target, call, deadline=deadline, step=message("remote.step_make_template"))


def make_overlays(
    workspace: Workspace,
    target: Target,
    template: str,
    paths: Sequence[str],
    token: str,
    deadline: float = FILES_SECONDS,
) -> None:
    """Make the overlays at `paths`, all in one folder, as copies of the template.

    One that exists is never touched, so a batch may be made twice, also at the same time. `token` marks the
    temporary folder beside them as this operation's. Raises CommandFailed unless all are there at the end.
    """
    if not paths:
        return
    directories = {dirname(path) for path in paths}
    if len(directories) != 1:
        raise ValueError("overlays are made in one folder")
    call = MAKE_OVERLAYS(template, directories.pop(), token, *map(basename, paths))
    run(workspace, target, call, deadline=deadline, step=message("remote.step_make_overlays"))


def make_anew(
    workspace: Workspace, target: Target, template: str, path: str, token: str, deadline: float = FILES_SECONDS
) -> None:
    """Make one overlay as `make_overlays` does, in place of whatever is there."""
    call = MAKE_ANEW(template, dirname(path), token, basename(path))
    run(workspace, target, call, deadline=deadline, step=message("remote.step_make_overlays"))


def rebase(workspace: Workspace, target: Target, backing: str, path: str, deadline: float = FILES_SECONDS) -> None:
    """Have an overlay name its backing file, of the same bytes, by another path."""
    run(workspace, target, REBASE(backing, path), deadline=deadline, step="qemu-img rebase")


def put_in_place(workspace: Workspace, target: Target, part: str, path: str, deadline: float) -> None:
    """Give a clone's own file, made under a temporary name, its name, synced to disk and open to its owner alone."""
    run(workspace, target, PUTTING(part, path), deadline=deadline, step=message("remote.step_publish"))
