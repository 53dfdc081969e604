"""What a base needs of the node that is to run its desktops."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, cast

# What a node offers, by the kind of need that it is for; a kind that was never looked at is left out.
Offers = Mapping[str, Collection[str]]

NeedKind = Literal[
    "arch",
    "machine",
    "firmware",
    "secure_boot",
    "tpm",
    "kvm",
    "hyperv",
    "cpu_model",
    "cpu_feature",
    "network",
    "bridge",
    "interface",
    "nwfilter",
]


@dataclass(frozen=True, order=True, slots=True)
class Need:
    """One thing that a node must offer, or the machine does not start there.

    `value` is, by kind: `arch` the guest's ("x86_64"); `machine` the family of machine types ("q35": of a family any
    member will do); `firmware` the file of
    a UEFI firmware, or "efi" for any; `secure_boot` "yes"; `tpm` the version ("2.0") to be emulated; `kvm` "yes";
    `hyperv`, `cpu_model` and `cpu_feature` libvirt's name of it; `network` a libvirt network, `bridge` a bridge of the
    host, `interface` a network card of the host, `nwfilter` a libvirt network filter.
    """

    kind: NeedKind
    value: str

    @classmethod
    def from_dict(cls, stored: Mapping[str, str]) -> "Need":
        """The need that `to_dict` made this of."""
        return cls(cast("NeedKind", stored["kind"]), stored["value"])

    def to_dict(self) -> dict[str, str]:
        """As plain JSON types."""
        return {"kind": self.kind, "value": self.value}


def lacking(needs: Iterable[Need], offers: Offers) -> list[Need]:
    """Those needs that a node does not fulfil. What was never looked at is not held against it."""
    return [need for need in needs if need.kind in offers and need.value not in offers[need.kind]]
