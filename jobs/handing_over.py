"""Handing the data folder over to the system users: each part of it is readable and writable for who needs it.

What an installation that ran as root before has left there is handed over as well. Parts may be in the hands of a
process that was taken over by somebody: no link that is planted there is followed.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ravada_web.config import DATABASE, Settings
from ravada_web.errors import CannotRun
from ravada_web.system_users import SystemUser, SystemUsers

# SQLite's write-ahead log and its index belong to their database.
PARTS = (f"{DATABASE}-wal", f"{DATABASE}-shm", DATABASE)
FOLDER, FILE = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW


class Folder:
    """An open folder. What is done in it is done to what is in it, and not to where a link leads."""

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self.handle = handle

    @contextmanager
    def folder(self, name: str, uid: int, gid: int, mode: int) -> Iterator["Folder"]:
        """The folder of that name in it, made where it is missing, with this owner, group and mode."""
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=self.handle)
        with opened(self.path / name, FOLDER, self.handle) as handle:
            os.fchown(handle, uid, gid)
            os.fchmod(handle, mode)
            yield Folder(self.path / name, handle)

    def give(self, name: str, uid: int, gid: int, mode: int) -> None:
        """Give the file of that name in it this owner, group and mode."""
        with opened(self.path / name, FILE, self.handle) as handle:
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
                raise CannotRun(planted(self.path / name))
            os.fchown(handle, uid, gid)
            os.fchmod(handle, mode)

    def give_all(self, uid: int, gid: int, mode: int) -> None:
        """Give all files in it, sockets and folders excepted."""
        for name in os.listdir(self.handle):  # noqa: PTH208  of the open folder
            kind = stat.S_IFMT(os.stat(name, dir_fd=self.handle, follow_symlinks=False).st_mode)
            if kind not in (stat.S_IFSOCK, stat.S_IFDIR):
                self.give(name, uid, gid, mode)

    def is_file(self, name: str) -> bool:
        """Whether a file of that name is in it, and no link."""
        with suppress(FileNotFoundError):
            return stat.S_ISREG(os.stat(name, dir_fd=self.handle, follow_symlinks=False).st_mode)
        return False


@contextmanager
def opened(path: Path, flags: int, within: int | None = None) -> Iterator[int]:
    """A handle of a folder or file, `within` an open folder. Raises CannotRun where it is a link, or another thing."""
    try:
        handle = os.open(path if within is None else path.name, flags, dir_fd=within)
    except OSError as error:
        raise CannotRun(planted(path)) from error
    try:
        yield handle
    finally:
        os.close(handle)


def planted(path: Path) -> str:
    """What to say of something that the product does not make."""
    return f"{path} is a link, or no plain file or folder: the product makes none there. Look who did, and remove it."


def hand_over(settings: Settings, users: SystemUsers) -> None:
    """Hand the data folder and the folder of sockets over; to be called as root, while nothing runs. Raises
    CannotRun."""
    web, work, redis, shared = users.web, users.work, users.redis, users.shared
    with opened(settings.data, FOLDER) as handle:
        data = Folder(settings.data, handle)
        os.fchown(handle, 0, shared)
        os.fchmod(handle, 0o750)
        if settings.has_own_database:
            _hand_over_database(data, work, shared)
        if data.is_file("secret_key"):
            data.give("secret_key", 0, shared, 0o640)
        for name, owner, mode, files in (
            ("ssh", work, 0o700, 0o600),
            ("public", work, 0o750, 0o640),
            ("archive", work, 0o700, 0o600),
        ):
            with data.folder(name, owner.uid, shared, mode) as folder:
                folder.give_all(owner.uid, shared, files)
    with opened(settings.run_dir, FOLDER) as handle:
        os.fchown(handle, 0, shared)
        os.fchmod(handle, 0o750)
        run = Folder(settings.run_dir, handle)
        for place, owner, mode in (
            (settings.redis_socket.parent, redis, 0o2750),
            (settings.web_socket.parent, web, 0o700),
            (settings.links_dir, work, 0o700),
            (settings.displays_socket.parent, work, 0o2750),
        ):
            with run.folder(place.name, owner.uid, shared, mode) as folder:
                folder.give_all(owner.uid, shared, 0o600)


def _hand_over_database(data: Folder, work: SystemUser, shared: int) -> None:
    """SQLite makes files beside its database: it has a folder of its own, which the group may write to, so that nothing
    else is in their reach; where it was before is a link."""
    with data.folder("database", 0, shared, 0o2770) as folder:
        if data.is_file(DATABASE):
            for name in PARTS:  # what a former database has left there is not this one's
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder.handle)
            for name in PARTS:
                if data.is_file(name):
                    os.rename(name, name, src_dir_fd=data.handle, dst_dir_fd=folder.handle)
        with suppress(FileExistsError):
            os.close(os.open(DATABASE, os.O_CREAT | os.O_EXCL, 0o600, dir_fd=folder.handle))
        with suppress(FileExistsError):
            os.symlink(f"{folder.path.name}/{DATABASE}", DATABASE, dir_fd=data.handle)
        folder.give_all(work.uid, shared, 0o660)
