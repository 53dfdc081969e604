"""The pinned packages, as `make requirements` writes them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent.parent
PRODUCT = (ROOT / "requirements.txt", ROOT / "deploy" / "build-requirements.txt")
TESTS = ROOT / "tests" / "requirements.txt"


@dataclass(frozen=True)
class Pin:
    """One package: what is asked for, and the hashes of the files that may be installed for it."""

    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name as indexes spell it."""
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> str:
        """The one version. Raises ValueError where it is not pinned."""
        (only,) = self.requirement.specifier
        if only.operator != "==" or only.version.endswith("*"):
            raise ValueError(f"{self.requirement} is not pinned")
        return only.version

    @property
    def is_for_us(self) -> bool:
        """Whether this interpreter is one that it is for."""
        return self.requirement.marker is None or self.requirement.marker.evaluate()


def read(path: Path) -> list[Pin]:
    """All pins of a file, those for other interpreters included."""
    lines = (line for line in path.read_text().splitlines() if not line.lstrip().startswith("#"))
    return [_pin(entry) for entry in "\n".join(lines).replace("\\\n", " ").splitlines() if entry.strip()]


def installed(paths: Sequence[Path]) -> dict[str, str]:
    """The versions by name that these files install here."""
    return {pin.name: pin.version for path in paths for pin in read(path) if pin.is_for_us}


def _pin(entry: str) -> Pin:
    requirement, *hashes = entry.split("--hash=")
    return Pin(Requirement(requirement.strip()), tuple(value.strip() for value in hashes))
