"""How the files of a base are named in a pool: its disks, and the empty overlay that clones' disks are copies of."""

from ravada_web.models import Base, BaseDisk


def disk_name(base: Base, number: int, target: str) -> str:
    """The file of one disk of a version. The base's id, not its name: names may be given again."""
    return f"ravada-base-{base.id}-v{number}-{target}.qcow2"


def template_name(disk: BaseDisk) -> str:
    """The empty overlay beside a base's disk: every new clone's disk has the same bytes."""
    return disk.file_name.removesuffix(".qcow2") + ".overlay"


def temporary_name(file_name: str, token: str) -> str:
    """Where a file is made before it is verified; the token is the attempt's, so that no two write one file."""
    return f".{file_name}.{token}.part"
