"""What a machine runs on, as far as it decides where it can go on running: its machine type and its processor."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

FAMILIES = ("q35", "microvm", "virt", "s390-ccw-virtio", "pseries", "pc")
# A machine type of a certain version: "pc-q35-7.2", "pc-q35-rhel9.2.0", "virt-8.0". The others are names for one of
# these, which each QEMU has of its own.
_VERSIONED = re.compile(r"(?:pc-q35|pc-i440fx|virt|s390-ccw-virtio|pseries)-(.+)")
# The processor of a guest that has its host's own: another one, host by host.
OF_HOST = "host"
# Longer names of machine types and models are none that we know.
LONGEST = 64


@dataclass(frozen=True, slots=True)
class Host:
    """What a host offers to guests that come to it while they run. `virt_type` is "kvm" or "qemu" (emulation);
    `machines` are the machine types, `processors` the named models that it gives to guests whole."""

    arch: str
    virt_type: str
    machines: frozenset[str]
    processors: frozenset[str]

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types, equal for equal ones."""
        return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Host":
        """The host that `to_dict` made this of."""
        lists = {name: frozenset(stored[name]) for name in ("machines", "processors")}
        return cls(stored["arch"], stored["virt_type"], **lists)

    @property
    def digest(self) -> str:
        """A hash of all of it: hosts that offer the same share it."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Platform:
    """What a guest has: a machine type of a certain version, and a named model of a processor. Each is "" where it is
    not known, or is left to the host; the processor is OF_HOST where it is the host's own."""

    machine: str = ""
    processor: str = ""


ANY = Platform()


def machine_family(machine: str) -> str:
    """The family that a machine type is of: "q35" of "pc-q35-7.2"."""
    return next((family for family in FAMILIES if family in machine.split("-") or machine.startswith(family)), machine)


def is_versioned(machine: str) -> bool:
    """Whether a machine type is the same on every host that offers it: "pc-q35-7.2" is, "q35" is not."""
    return _VERSIONED.fullmatch(machine) is not None


def machine_age(machine: str) -> tuple[bool, tuple[int, ...], str]:
    """What versioned machine types of a family are ordered by, the oldest first; those that only one distribution has
    come before all that QEMU itself numbers."""
    found = _VERSIONED.fullmatch(machine)
    version = found[1] if found else machine
    of_qemu = re.fullmatch(r"\d+(\.\d+)*", version) is not None
    return of_qemu, tuple(int(number[:9]) for number in re.findall(r"\d+", version)), version
