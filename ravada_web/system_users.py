"""The system users that the processes run as where the product is started as root: each reaches what it must, and no
more. Started as an ordinary user, everything is that user's."""

import grp
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ravada_web.errors import CannotRun
from ravada_web.process import forgo_privileges

# Of web and work alone: what both need is this group's.
GROUP = "ravada"
WEB, WORK, REDIS = "ravada-web", "ravada-work", "ravada-redis"
NOWHERE = "/nonexistent"
# Another program that changes the system's users has them locked for a moment.
TRIES, PAUSE_SECONDS = 30, 0.2


@dataclass(frozen=True)
class SystemUser:
    """A system user and its group."""

    name: str
    uid: int
    gid: int

    def become(self) -> None:
        """Be this user for good, in this process and in what it starts; only root can."""
        os.setgroups(os.getgrouplist(self.name, self.gid))
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)
        os.umask(0o007)
        os.environ["HOME"] = NOWHERE
        forgo_privileges()

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Read and write as this user through the block, and be root again; in a process of one thread."""
        groups, mask = os.getgroups(), os.umask(0o007)
        os.setgroups(os.getgrouplist(self.name, self.gid))
        os.setegid(self.gid)
        os.seteuid(self.uid)
        try:
            yield
        finally:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(groups)
            os.umask(mask)


@dataclass(frozen=True)
class SystemUsers:
    """`web`: the gateway and the pages. `work`: the links, the ticker and the workers. `redis`: the private Redis.
    `shared` is the group of the first two."""

    web: SystemUser
    work: SystemUser
    redis: SystemUser
    shared: int

    def have(self, folder: Path) -> bool:
        """Whether the data folder was handed over to them."""
        try:
            return folder.stat().st_gid == self.shared
        except OSError:
            return False


def find() -> SystemUsers | None:
    """The users; None where this host does not have them."""
    try:
        shared = grp.getgrnam(GROUP).gr_gid
        web, work = (SystemUser(name, pwd.getpwnam(name).pw_uid, shared) for name in (WEB, WORK))
        redis = pwd.getpwnam(REDIS)
        return SystemUsers(web, work, SystemUser(REDIS, redis.pw_uid, redis.pw_gid), shared)
    except KeyError:
        return None


def ensure(say: Callable[[str], None]) -> SystemUsers:
    """The users, made where this host does not have them, which is said in a line. Raises CannotRun."""
    if found := find():
        return found
    if shutil.which("useradd") is None:
        raise CannotRun("Not installed: useradd. To install: apt install passwd")
    _add(["groupadd", "--system", GROUP], grp.getgrnam, GROUP)
    _add_user(WEB, "--gid", GROUP)
    _add_user(WORK, "--gid", GROUP)
    _add_user(REDIS, "--user-group")
    found = find()
    assert found
    say(f"Made the system users {WEB}, {WORK} and {REDIS}, and the group {GROUP}.")
    return found


def _add_user(name: str, *group: str) -> None:
    options = ("--system", "--no-create-home", "--home-dir", NOWHERE, "--shell", "/usr/sbin/nologin")
    _add(["useradd", *options, *group, name], pwd.getpwnam, name)


def _add(command: list[str], known: Callable[[str], object], name: str) -> None:
    """Run the command until the name is known: others may add users, and these ones, at the same time."""
    for _try in range(TRIES):
        try:
            known(name)
        except KeyError:
            done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
            if done.returncode:
                time.sleep(PAUSE_SECONDS)
        else:
            return
    raise CannotRun(
        f"The system user or group {name} could not be made ({done.stderr.strip()}). "
        "Run `flask setup` as root in a shell: a service may not write to /etc."
    )
