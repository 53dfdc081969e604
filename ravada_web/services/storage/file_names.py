"""How the files of a base are named in a pool: its disks, its NVRAM, and what clones' own files are copies of."""

from ravada_web.models import Base, BaseDisk, FileKind


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
