"""A home that only its owner may enter, where the product, its Python or its data lie: the processes have a view of the
system in which nothing is of that home but what they need, at the same paths.

It is what systemd does for ProtectHome=tmpfs with BindPaths. On the host itself nothing changes.
"""

import ctypes
import errno
import os
import stat
import sys
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from sqlalchemy import make_url

from ravada_web.config import Settings
from ravada_web.errors import CannotRun

# sched.h and sys/mount.h
NEW_NAMESPACE = 0x20000
NO_SUID, NO_DEVICES, BIND, RECURSIVE, SLAVE = 2, 4, 4096, 16384, 1 << 19
_libc = ctypes.CDLL(None, use_errno=True)


def needs(settings: Settings, root: Path) -> list[Path]:
    """What the processes read and write beside the system's own folders: the product in `root`, its Python, the data
    folder, the certificate, and the sockets and files that the URLs of the database and of Redis name."""
    python = [sys.prefix, sys.base_prefix, sys.base_exec_prefix, *sys.path]
    paths = [root, settings.run_dir, *(Path(each) for each in python if each)]
    paths += [_with_folder(each) for each in _named(settings)]
    both = {each for path in paths for each in (path.absolute(), path.resolve())}
    # What is in the data folder is reached by its own rights.
    outside = {path for path in both if settings.data not in path.parents}
    return sorted(path for path in {settings.data, *outside} if path.exists())


def _named(settings: Settings) -> Iterator[Path]:
    """The files and sockets of others that the settings name."""
    yield from filter(None, (settings.tls_cert, settings.tls_key, settings.foreign_redis_socket))
    database = make_url(settings.database_url)
    words = [*database.query.values(), database.database or ""]
    words += [word for _name, word in parse_qsl(urlsplit(settings.redis_url).query)]
    yield from (Path(word) for word in words if isinstance(word, str) and word.startswith("/"))


def _with_folder(path: Path) -> Path:
    """The folder of a file, where others may enter it: the file may be made anew."""
    above = path.parent
    return path if path.is_dir() or not above.exists() or not above.stat().st_mode & stat.S_IXOTH else above


def closed_above(paths: Collection[Path]) -> dict[Path, list[Path]]:
    """The topmost folders that only their owner may enter, each with those of the paths that lie below it."""
    found: dict[Path, list[Path]] = {}
    for path in sorted(paths):
        for above in reversed(path.parents):
            if not above.stat().st_mode & stat.S_IXOTH:
                found.setdefault(above, []).append(path)
                break
    return found


def hide(paths: Collection[Path]) -> int | None:
    """Have this process, and what it starts, see nothing below closed folders but these paths. Returns what `leave`
    takes; None where no folder is closed.

    Raises CannotRun where the system does not let us, or the way there would stay closed.
    """
    if not (closed := closed_above(paths)):
        return None
    before = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    here, mask = Path.cwd(), os.umask(0o022)
    try:
        _done(_libc.unshare(NEW_NAMESPACE))
        _mount("none", Path("/"), "", RECURSIVE | SLAVE)
        while closed:
            for folder, below in closed.items():
                if folder in paths:
                    raise PermissionError(errno.EPERM, "it is needed itself")
                _lay_over(folder, below)
            closed = closed_above(paths)
    except OSError as error:
        folder = next(iter(closed))
        raise CannotRun(
            f"Only its owner may enter {folder}, and this system lets nobody change that for us alone "
            f"({error.strerror}). Move what is below it elsewhere ({', '.join(map(str, closed[folder]))}), "
            f"or run: chmod o+x {folder}"
        ) from error
    finally:
        os.umask(mask)
    os.chdir("/")
    with suppress(OSError):  # it is hidden now
        os.chdir(here)
    return before


def leave(before: int | None) -> None:
    """See the system as it was before `hide`."""
    if before is not None:
        here = Path.cwd()
        _done(_libc.setns(before, NEW_NAMESPACE))
        os.chdir(here)


def _lay_over(folder: Path, below: Collection[Path]) -> None:
    """Lay an empty folder over this one, in it those paths alone."""
    kept = {path: os.open(path, os.O_PATH) for path in below}
    _mount("tmpfs", folder, "tmpfs", NO_SUID | NO_DEVICES, "mode=0755,size=1m")
    done: set[Path] = set()
    for path, handle in kept.items():
        if done.isdisjoint(path.parents):
            _make_place(path, os.fstat(handle).st_mode)
            _mount(f"/proc/self/fd/{handle}", path, "", BIND | RECURSIVE)
            done.add(path)
        os.close(handle)


def _make_place(path: Path, mode: int) -> None:
    """What a path is mounted on: a folder or a file, as it is itself."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if stat.S_ISDIR(mode):
        path.mkdir(exist_ok=True)
    else:
        path.touch()


def _mount(source: str, target: Path, kind: str, flags: int, options: str = "") -> None:
    words = (source.encode(), os.fsencode(target), kind.encode() or None)
    _done(_libc.mount(*words, ctypes.c_ulong(flags), options.encode() or None))


def _done(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
