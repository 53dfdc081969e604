"""The archive's files: what was appended is there, closed to others, and what was begun and not finished is not."""

import gzip
import os
from pathlib import Path

import pytest
from flask import Flask

from ravada_web.errors import RavadaError
from ravada_web.services import archive_files

ONE, TWO, THREE = {"id": 1, "text": "año"}, {"id": 2, "text": "\u202e"}, {"id": 3, "text": None}


def path() -> Path:
    (file,) = archive_files.files("events")
    return file


def test_rows_come_back_as_they_went(app: Flask) -> None:
    archive_files.append("events", "2026-01", [ONE, TWO])
    archive_files.append("events", "2026-01", [THREE])
    archive_files.append("consoles", "2026-02", [ONE])
    assert [file.name for file in archive_files.files()] == ["consoles-2026-02.jsonl.gz", "events-2026-01.jsonl.gz"]
    assert list(archive_files.read(path())) == [ONE, TWO, THREE]
    assert len(gzip.decompress(path().read_bytes()).splitlines()) == 3, "any other tool reads it too"
    assert path().stat().st_mode & 0o777 == 0o600
    assert path().parent.stat().st_mode & 0o777 == 0o700


def test_what_went_twice_is_read_once(app: Flask) -> None:
    for _time in range(2):
        archive_files.append("events", "2026-01", [ONE, TWO])
    assert list(archive_files.read(path())) == [ONE, TWO]


@pytest.mark.parametrize("left", [1, 17, 40])
def test_a_process_that_dies_while_it_writes_leaves_nothing_half(app: Flask, left: int) -> None:
    archive_files.append("events", "2026-01", [ONE])
    whole = path().stat().st_size
    process = os.fork()
    if not process:  # it dies when the file has some of the bytes, as by SIGKILL
        write = archive_files.gzip.compress
        archive_files.gzip.compress = lambda data: write(data)[:left]
        archive_files._settle = lambda file: (
            file.flush() if file.name.endswith(".begun") else (file.flush(), os._exit(0))
        )
        archive_files.append("events", "2026-01", [TWO])
        os._exit(1)
    assert os.waitpid(process, 0)[1] == 0
    assert path().stat().st_size == whole + left
    assert list(archive_files.read(path())) == [ONE]
    archive_files.append("events", "2026-01", [THREE])
    assert list(archive_files.read(path())) == [ONE, THREE]


@pytest.mark.parametrize("damage", [b"\0" * 12, b""])
def test_a_damaged_file_is_named(app: Flask, damage: bytes) -> None:
    archive_files.append("events", "2026-01", [ONE])
    path().write_bytes(path().read_bytes()[:-12] + damage)
    with pytest.raises(RavadaError, match=r"events-2026-01\.jsonl\.gz is damaged"):
        list(archive_files.read(path()))
