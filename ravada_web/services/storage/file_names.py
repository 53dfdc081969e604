"""How the files of a base are named in a pool: its disks, its NVRAM, and what clones' own files are copies of; and what
a file of ours is, by its name."""

import re
from dataclasses import dataclass
from enum import StrEnum

from ravada_web.messages.foreign import whole
from ravada_web.models import Base, BaseDisk, FileKind

# Clone.own_file, version_file_name and template_name, and temporary_name.
_CLONE = re.compile(r"([a-z0-9][a-z0-9-]{0,62}[a-z0-9])\.([0-9a-f]{8})\.(?:([a-z]{3})\.qcow2|nvram\.fd)")
_BASE = re.compile(r"ravada-base-([0-9]{1,9})-v([0-9]{1,9})-[a-z]{1,16}\.(?:qcow2|overlay|fd)")
_BEGUN = re.compile(r"\..+\.op-([0-9]{1,9})-[0-9]{1,9}\.part|ravada-proof-op-([0-9]{1,9})-.+", re.DOTALL)


def version_file_name(base: Base, number: int, target: str, kind: str = FileKind.DISK) -> str:
    """One file of a version. The base's id, not its name: names may be given again."""
    return f"ravada-base-{base.id}-v{number}-{target}.{'fd' if kind == FileKind.NVRAM else 'qcow2'}"


def template_name(file: BaseDisk) -> str:
    """The file whose bytes every new clone's own begins with: the empty overlay beside a disk, or the NVRAM itself."""
    return template_of(file.file_name, file.kind)


def template_of(file_name: str, kind: str) -> str:
    """The same, by the file's name and kind."""
    return file_name if kind == FileKind.NVRAM else file_name.removesuffix(".qcow2") + ".overlay"


def temporary_name(file_name: str, token: str) -> str:
    """Where a file is made before it is verified; the token is the attempt's, so that no two write one file."""
    return f".{file_name}.{token}.part"


class FileOf(StrEnum):
    """What our files belong to: a clone, a version of a base, or an operation that had begun them."""

    CLONE = "clone"
    BASE = "base"
    OPERATION = "operation"


@dataclass(frozen=True)
class Named:
    """What a file of ours is by its name. Those of one thing have the same `stem`; `name` is that of the clone, and
    `uuid` how its UUID begins; `target` is the disk's. `id` is that of the base or of the operation, `number` that of
    the base's version."""

    of: FileOf
    stem: str
    name: str = ""
    uuid: str = ""
    target: str = ""
    id: int = 0
    number: int = 0

    @property
    def version(self) -> tuple[int, int] | None:
        """Of a base's file: the base's id and the version's number."""
        return (self.id, self.number) if self.of == FileOf.BASE else None


def named(file_name: str) -> Named | None:
    """What the file is, if it is called as ours are; None for others'."""
    if match := _CLONE.fullmatch(file_name):
        name, uuid, target = match.groups()
        return Named(FileOf.CLONE, f"{name}.{uuid}", name=name, uuid=uuid, target=target or "")
    if match := _BASE.fullmatch(file_name):
        stem = f"ravada-base-{match[1]}-v{match[2]}"
        return Named(FileOf.BASE, stem, id=whole(match[1]), number=whole(match[2]))
    if match := _BEGUN.fullmatch(file_name):
        return Named(FileOf.OPERATION, file_name, id=whole(match[1] or match[2]))
    return None
