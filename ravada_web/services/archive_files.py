"""The archive's files: rows that went from the database, as lines of JSON in gzip files of the data folder, one for
each kind and month. A line is there once the call that appended it has returned, whatever happens to this process
later.
"""

import fcntl
import gzip
import io
import json
import os
import zlib
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from ravada_web.config import settings
from ravada_web.errors import RavadaError
from ravada_web.messages import message

_END = ".jsonl.gz"


def folder() -> Path:
    """The archive's folder, which need not exist yet."""
    return settings().data / "archive"


def files(kind: str = "") -> list[Path]:
    """The files there are, by kind and month; those of one kind alone where it is given."""
    return sorted(folder().glob(f"{kind or '*'}-????-??{_END}"))


def append(kind: str, month: str, rows: Iterable[Mapping[str, Any]]) -> None:
    """Append rows to the file of the kind and the month (YYYY-MM), and wait for the disk. Raises OSError; then what was
    begun is not read, and the next call takes it away."""
    where = folder()
    if not where.exists():
        where.mkdir(mode=0o700)
        _give(where, where.parent)
    path = where / f"{kind}-{month}{_END}"
    text = "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)
    with open(path, "ab", opener=partial(os.open, mode=0o600)) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        whole = _whole(path)
        if whole is not None:
            file.truncate(whole)
        _mark(path, file.seek(0, os.SEEK_END))
        file.write(gzip.compress(text.encode()))
        _settle(file)
        _begun(path).unlink()
    _give(path, where)


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file, in the order in which they went there; one that went there twice, once.

    Raises RavadaError for a file that is damaged, after the rows before the damage.
    """
    seen: set[int] = set()
    try:
        for line in _lines(path):
            if hash(line) not in seen:
                seen.add(hash(line))
                yield json.loads(line)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise RavadaError(message("general.archive_damaged", file=path.name, error=str(error))) from error


def _lines(path: Path) -> Iterator[str]:
    whole = _whole(path)
    with path.open("rb") as file:
        source: BinaryIO = file if whole is None else io.BytesIO(file.read(whole))
        with gzip.open(source, "rt", encoding="utf-8") as lines:
            yield from lines


def _begun(path: Path) -> Path:
    return path.with_name(f"{path.name}.begun")


def _mark(path: Path, size: int) -> None:
    """Note how long the file is before something is appended to it."""
    with open(_begun(path), "wb", opener=partial(os.open, mode=0o600)) as file:
        file.write(f"{size}\n".encode())
        _settle(file)


def _whole(path: Path) -> int | None:
    """Up to where the file is whole, if something was being appended to it; a note that was not finished itself says
    that nothing was."""
    try:
        noted = _begun(path).read_text()
    except FileNotFoundError:
        return None
    return int(noted) if noted.endswith("\n") else None


def _settle(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _give(path: Path, above: Path) -> None:
    """What root has made is the product's own user's, who appends to it later: that of the folder above."""
    if os.geteuid() == 0:
        owner = above.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
