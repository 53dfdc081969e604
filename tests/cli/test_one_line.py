"""What a command answers where the product cannot run as it is set up: one line, what it is and what to do."""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ravada_web import ROOT
from tests.support import command_line
from tests.support.cluster import free_port


def flask(*arguments: str, **settings: object) -> str:
    """The one line that the command ends with, which must have failed."""
    return the_line(command_line.flask(*arguments, environment=environment(settings)))


def environment(settings: dict[str, object]) -> dict[str, str]:
    return os.environ | {"RAVADA_MASTER": "ssh"} | {name: str(value) for name, value in settings.items()}


def the_line(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 1, done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: ") and "Traceback" not in done.stdout
    return line


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "70000"),
        ("WEIGHTS", "memory=2"),
        ("LOGIN_LIMIT_PER_NAME", "10 per fortnight"),
        ("REDIS_URL", "redis://ravada:secret@redis.example.org/0"),
        ("DATABASE_URL", "oracle://db/x"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, name: str, value: str) -> None:
    line = flask("users", "list", **{"RAVADA_DATA": tmp_path, f"RAVADA_{name}": value})
    assert line.startswith(f"Error: The setting RAVADA_{name} is wrong: ")


def test_a_data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    line = flask("users", "list", RAVADA_DATA=tmp_path / "file" / "data")
    assert "The data folder cannot be used: Not a directory" in line and "RAVADA_DATA" in line


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_the_data_folder_of_another_user(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, 12345)
    line = flask("users", "list", RAVADA_DATA=tmp_path)
    assert line.startswith(f"Error: {tmp_path} belongs to another user. Run this as the user who owns the data folder")


def test_a_database_that_was_never_set_up(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flask", "users", "list"]
    settings = environment({"RAVADA_DATA": tmp_path})
    done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=60)
    assert the_line(done).endswith("Run `flask setup` first.")


@pytest.mark.parametrize("command", ["setup", "up"])
def test_a_database_server_that_is_away(tmp_path: Path, command: str) -> None:
    url = f"postgresql+psycopg://ravada@127.0.0.1:{free_port()}/ravada"
    line = flask(command, RAVADA_DATA=tmp_path, RAVADA_DATABASE_URL=url, RAVADA_PORT=free_port())
    assert "Connection refused" in line and "Does the database run? See RAVADA_DATABASE_URL." in line


@pytest.mark.parametrize("command", ["setup", "up"])
def test_a_database_that_a_newer_version_has_written(tmp_path: Path, command: str) -> None:
    database = sqlite3.connect(tmp_path / "ravada.sqlite")
    database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32))")
    database.execute("INSERT INTO alembic_version VALUES ('9999')")
    database.commit()
    database.close()
    line = flask(command, RAVADA_DATA=tmp_path, RAVADA_PORT=free_port())
    assert "The database is newer than this version of Ravada Web (revision 9999)." in line


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = flask("up", RAVADA_DATA=tmp_path, RAVADA_PORT=port)
    assert line.startswith(f"Error: Another program listens on 127.0.0.1, port {port}.")
    assert not (tmp_path / "ravada.sqlite").exists(), "nothing was begun"


def test_an_address_that_this_host_does_not_have(tmp_path: Path) -> None:
    line = flask("up", RAVADA_DATA=tmp_path, RAVADA_HOST="198.51.100.7", RAVADA_PORT=free_port())
    assert line.startswith("Error: This host has no address 198.51.100.7.")


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("nothing of the kind")
    line = flask("up", RAVADA_DATA=tmp_path, RAVADA_TLS_CERT=tmp_path / "cert.pem", RAVADA_PORT=free_port())
    assert "cert.pem cannot be used" in line and "RAVADA_TLS_CERT" in line


def test_a_program_that_is_not_installed(tmp_path: Path) -> None:
    here = tmp_path / "bin"
    here.mkdir()
    for program in ("ssh-keygen", "setpriv"):
        (here / program).symlink_to(str(shutil.which(program)))
    line = flask("up", RAVADA_DATA=tmp_path, PATH=here, RAVADA_PORT=free_port())
    assert line == "Error: Not installed: redis-server, ssh. To install: apt install openssh-client redis-server"


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_disk_that_is_full(tmp_path: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", tmp_path], check=True)
    try:
        line = flask("setup", RAVADA_DATA=tmp_path)
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)
    assert "is full" in line and "Make room on the disk of the data folder" in line
