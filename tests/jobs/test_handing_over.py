"""The data folder in the hands of the system users: who owns what, and links that somebody has planted there."""

import os
import stat
from pathlib import Path

import pytest

from jobs.handing_over import hand_over
from ravada_web.config import Settings
from ravada_web.errors import CannotRun
from ravada_web.system_users import SystemUser, SystemUsers

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
# Numbers that are nobody's.
SHARED = 64_100
USERS = SystemUsers(
    SystemUser("web", 64_101, SHARED), SystemUser("work", 64_102, SHARED), SystemUser("redis", 64_103, 64_103), SHARED
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation that ran as root alone."""
    made = Settings(data=tmp_path / "data", master="ssh")
    made.make_folders()
    made.secret_key()
    for name in ("ravada.sqlite", "ravada.sqlite-wal", "ravada.sqlite-shm", "ssh/id_ed25519"):
        (made.data / name).write_text(name)
    (made.data / "archive").mkdir()
    (made.data / "archive" / "events-2026-10.jsonl.gz").touch()
    return made


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A file of root's, as /etc/shadow is."""
    path = tmp_path / "shadow"
    path.touch(mode=0o600)
    return path


def rights(path: Path) -> tuple[int, int, int]:
    found = path.lstat()
    return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)


@pytest.mark.parametrize("times", [1, 2])
def test_an_installation_that_ran_as_root_is_taken_over(settings: Settings, times: int) -> None:
    for _time in range(times):
        hand_over(settings, USERS)
    data, work, web = settings.data, USERS.work.uid, USERS.web.uid
    assert rights(data) == (0, SHARED, 0o750)
    assert rights(data / "secret_key") == (0, SHARED, 0o640)
    assert rights(data / "ssh") == (work, SHARED, 0o700)
    assert rights(data / "ssh" / "id_ed25519") == (work, SHARED, 0o600)
    assert rights(data / "database") == (0, SHARED, 0o2770)
    for name in ("ravada.sqlite", "ravada.sqlite-wal", "ravada.sqlite-shm"):
        assert rights(data / "database" / name) == (work, SHARED, 0o660)
        assert (data / "database" / name).read_text() == name
    assert (data / "ravada.sqlite").resolve() == data / "database" / "ravada.sqlite"
    assert rights(data / "archive" / "events-2026-10.jsonl.gz") == (work, SHARED, 0o600)
    assert rights(settings.links_dir) == (work, SHARED, 0o700)
    assert rights(settings.web_socket.parent) == (web, SHARED, 0o700)
    assert rights(settings.redis_socket.parent) == (USERS.redis.uid, SHARED, 0o2750)
    assert rights(settings.run_dir) == (0, SHARED, 0o750)


def test_a_backup_that_was_put_back_is_taken_and_no_log_of_the_former_database(settings: Settings) -> None:
    hand_over(settings, USERS)
    (settings.data / "backup").write_text("from the backup")
    (settings.data / "backup").replace(settings.data / "ravada.sqlite")
    hand_over(settings, USERS)
    assert (settings.data / "ravada.sqlite").read_text() == "from the backup"
    assert [path.name for path in (settings.data / "database").iterdir()] == ["ravada.sqlite"]


def test_on_another_database_there_is_no_sqlite(settings: Settings) -> None:
    settings.database_url = "postgresql+psycopg://ravada@/ravada"
    hand_over(settings, USERS)
    assert not (settings.data / "database").exists()


PLACES = ["database/ravada.sqlite", "database/ravada.sqlite-wal", "database/x", "ssh/id_ed25519", "run/links/n1.kh"]
PLACES += ["public/id_ed25519.pub", "secret_key", "archive/x.gz", "run/displays/x"]


@pytest.mark.parametrize("kind", ["symbolic", "hard"])
@pytest.mark.parametrize("place", PLACES)
def test_a_planted_link_to_a_file_is_not_followed(settings: Settings, victim: Path, place: str, kind: str) -> None:
    settings.make_folders()
    hand_over(settings, USERS)
    where = settings.run_dir / place.removeprefix("run/") if place.startswith("run/") else settings.data / place
    where.unlink(missing_ok=True)
    where.symlink_to(victim) if kind == "symbolic" else where.hardlink_to(victim)
    with_link = rights(victim)
    if (place, kind) != ("secret_key", "symbolic"):
        with pytest.raises(CannotRun, match=where.name):
            hand_over(settings, USERS)
    else:
        hand_over(settings, USERS)
    assert rights(victim) == with_link == (0, 0, 0o600)


@pytest.mark.parametrize("place", ["ssh", "public", "archive", "database", "run/links", "run/web", "run/redis"])
def test_a_planted_link_to_a_folder_is_not_followed(settings: Settings, tmp_path: Path, place: str) -> None:
    hand_over(settings, USERS)
    where = settings.run_dir / place.removeprefix("run/") if place.startswith("run/") else settings.data / place
    where.rename(tmp_path / "away")
    (tmp_path / "etc").mkdir(mode=0o755)
    where.symlink_to(tmp_path / "etc")
    with pytest.raises(CannotRun, match="is a link"):
        hand_over(settings, USERS)
    assert rights(tmp_path / "etc") == (0, 0, 0o755)
