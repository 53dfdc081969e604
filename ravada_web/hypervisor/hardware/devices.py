"""Rules for all other devices: ports, display, sound, and what is of one host."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence

from ravada_web.hypervisor.hardware.cards import CARD
from ravada_web.hypervisor.hardware.disks import DISK
from ravada_web.hypervisor.hardware.rules import Place, Rule, attribute, both, has, is_one_of, shown, without
from ravada_web.hypervisor.tree import drop
from ravada_web.messages import Figure
from ravada_web.needs import Need

_PLAIN_PORTS = ("pty", "null")
_NAMED = ("path", "dir", "dev", "channel", "address", "host", "service", "socket", "name", "file")


def _other_end(place: Place) -> Mapping[str, Figure]:
    """Where a port or a device led to on the host: the first name that its source has."""
    names = [value for source in place.element.findall("source") for key, value in source.items() if key in _NAMED]
    return {"type": shown(place.get("type")), "other_end": shown(":".join(names)) or "–"}


def _to_terminal(place: Place) -> None:
    drop(place.element, "source", "protocol", "log")
    place.element.set("type", "pty")


def _to_own_socket(place: Place) -> None:
    drop(place.element, "source", "protocol", "log")
    place.element.set("type", "unix")


PORT = (
    Rule("dropped", "host_file", where="log", figures=attribute("file", figure="path"), gone=True),
    Rule(
        "fitted",
        "port",
        test=lambda place: place.get("type") not in _PLAIN_PORTS,
        figures=_other_end,
        change=_to_terminal,
    ),
)
CHANNEL = (
    Rule("dropped", "spice", test=is_one_of("type", "spicevmc", "spiceport", "dbus"), gone=True),
    Rule("dropped", "channel_of_host", test=lambda place: place.get("type", "target") != "virtio", gone=True),
    Rule("dropped", "host_file", where="log", figures=attribute("file", figure="path"), gone=True),
    Rule(
        "fitted",
        "channel",
        test=lambda place: (
            place.get("type") not in (*_PLAIN_PORTS, "qemu-vdagent", "unix") or bool(place.get("path", "source"))
        ),
        figures=_other_end,
        change=_to_own_socket,
    ),
)


def _passed_through(place: Place) -> Mapping[str, Figure]:
    """A passed-through device as `lspci`, `lsusb` and their like name it."""
    source = place.element.find("source")
    address = source.find("address") if source is not None else None
    kind = place.get("type")
    if kind == "pci" and address is not None:
        numbers = [address.get(part, "").removeprefix("0x") for part in ("domain", "bus", "slot", "function")]
        return {"device": shown("PCI {}:{}:{}.{}".format(*numbers))}
    vendor, product = place.get("id", "source/vendor"), place.get("id", "source/product")
    if vendor or product:
        return {"device": shown(f"USB {vendor.removeprefix('0x')}:{product.removeprefix('0x')}")}
    if address is None:
        return {"device": shown(kind)}
    return {"device": shown(f"{kind.upper()} {' '.join(address.attrib.values())}")}


def _shared_folder(place: Place) -> Mapping[str, Figure]:
    return {"path": _other_end(place)["other_end"], "tag": shown(place.get("dir", "target"))}


def _to_vga(place: Place) -> None:
    model = place.element.find("model")
    assert model is not None, "the rule has looked at it"
    for name in set(model.attrib) - {"primary"}:
        del model.attrib[name]
    model.set("type", "vga")
    drop(model, "acceleration", "resolution")
    drop(place.element, "driver")


def _without_3d(place: Place) -> None:
    drop(place.element, "acceleration")
    place.element.attrib.pop("blob", None)


def _is_second_screen(place: Place) -> bool:
    return place.parent.find("video") is not place.element


def _is_qxl(place: Place) -> bool:
    return place.get("type", "model") == "qxl"


VIDEO = (
    Rule("dropped", "video_second", test=both(_is_qxl, _is_second_screen), gone=True),
    Rule("fitted", "video_qxl", test=_is_qxl, change=_to_vga),
    Rule(
        "fitted",
        "video_3d",
        where="model",
        test=lambda place: has("acceleration")(place) or bool(place.get("blob")),
        change=_without_3d,
    ),
    Rule("fitted", "video_driver", where="driver", test=is_one_of("name", "vhostuser"), change=without("name")),
)


def _free_cid(place: Place) -> None:
    drop(place.element, "cid")
    ET.SubElement(place.element, "cid", auto="yes")


def _version(place: Place) -> str:
    return place.get("version", "backend") or "2.0"


def _tpm_needs(place: Place) -> list[Need]:
    return [Need("tpm", _version(place))]


def _emulate_tpm(place: Place) -> None:
    drop(place.element, "backend")
    ET.SubElement(place.element, "backend", type="emulator", version=_version(place))


TPM = (
    Rule("dropped", "tpm_encryption", where="backend/encryption", gone=True),
    Rule(
        "fitted",
        "tpm_of_host",
        test=lambda place: place.get("type", "backend") != "emulator",
        change=_emulate_tpm,
        needs=_tpm_needs,
    ),
    Rule("kept", "tpm", figures=lambda place: {"version": shown(_version(place))}, needs=_tpm_needs),
)


def _own_randomness(place: Place) -> None:
    drop(place.element, "backend")
    backend = ET.SubElement(place.element, "backend", model="random")
    backend.text = "/dev/urandom"


def _is_random_elsewhere(place: Place) -> bool:
    backend = place.element.find("backend")
    if backend is None or backend.get("model") == "builtin":
        return False
    return backend.get("model") != "random" or (backend.text or "").strip() not in ("", "/dev/random", "/dev/urandom")


AS_IS: Sequence[Rule] = ()
_SPICE = (Rule("dropped", "spice", gone=True),)
_HOSTS_OWN = (Rule("dropped", "of_host", gone=True),)
DEVICES: Mapping[str, Sequence[Rule]] = {
    "disk": DISK,
    "interface": CARD,
    "serial": PORT,
    "console": PORT,
    "parallel": PORT,
    "channel": CHANNEL,
    "emulator": (Rule("fitted", "emulator", gone=True),),
    "graphics": (Rule("fitted", "display", figures=attribute("type"), gone=True),),
    "audio": (Rule("fitted", "audio", gone=True),),
    "sound": (Rule("fitted", "sound_output", where="audio", gone=True),),
    "video": VIDEO,
    "redirdev": _SPICE,
    "redirfilter": _SPICE,
    "smartcard": _SPICE,
    "controller": (Rule("dropped", "spice", test=is_one_of("type", "ccid"), gone=True),),
    "hostdev": (Rule("dropped", "passed_through", figures=_passed_through, gone=True),),
    "filesystem": (Rule("dropped", "shared_folder", figures=_shared_folder, gone=True),),
    "vsock": (
        Rule(
            "fitted",
            "vsock",
            test=lambda place: bool(place.get("address", "cid")),
            figures=attribute("address", "cid", figure="cid"),
            change=_free_cid,
        ),
    ),
    "tpm": TPM,
    "rng": (Rule("fitted", "randomness", test=_is_random_elsewhere, change=_own_randomness),),
    "input": (Rule("dropped", "of_host", test=is_one_of("type", "passthrough", "evdev"), gone=True),),
    "memory": (
        Rule("dropped", "memory_of_host", test=is_one_of("model", "nvdimm", "virtio-pmem", "sgx-epc"), gone=True),
        Rule("dropped", "memory_backing", where="source", gone=True),
    ),
    "shmem": _HOSTS_OWN,
    "lease": _HOSTS_OWN,
    "pstore": _HOSTS_OWN,
    **dict.fromkeys(("crypto", "hub", "iommu", "memballoon", "nvram", "panic", "watchdog"), AS_IS),
}
