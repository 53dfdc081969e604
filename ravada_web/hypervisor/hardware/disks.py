"""Rules for disks and drives."""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import PurePosixPath

from ravada_web.hypervisor.hardware.rules import Place, Rule, both, command, has, is_one_of, shown
from ravada_web.hypervisor.tree import drop
from ravada_web.messages import Figure

# Where a copy is proposed: the folder of the pool that every node has.
_FOLDER = "/var/lib/libvirt/images"
_DEVICES = "/dev/"
_ON_THE_HOST = ("block", "nvme", "vhostuser", "vhostvdpa", "dir")


def copy_path(origin: str, suffix: str = ".qcow2") -> str:
    """Where a copy of a disk is proposed: beside its file, or in the pool's folder for what is none."""
    is_file = origin.startswith("/") and not origin.startswith(_DEVICES)
    return f"{origin if is_file else f'{_FOLDER}/{_plain_name(origin)}'}{suffix}"


def decrypt_command(path: str, image_format: str) -> str:
    """The command that writes an encrypted image's content, in the clear, beside it; an image that is no qcow2 is LUKS
    from its first byte."""
    driver = "driver=qcow2,encrypt.key-secret=s,file" if image_format == "qcow2" else "driver=luks,key-secret=s,file"
    return _decrypt_by(f"{driver}.filename=", path)


def decrypt_inside_command(path: str, image_format: str) -> str:
    """The same of an image that has a LUKS volume as its content."""
    return _decrypt_by(f"driver=luks,key-secret=s,file.driver={image_format},file.file.filename=", path)


def _decrypt_by(driver: str, path: str) -> str:
    options = driver + path.replace(",", ",,")
    keyed = ("--object", "secret,id=s,file=PASSPHRASE-FILE", "--image-opts", options)
    return command("qemu-img", "convert", *keyed, "-O", "qcow2", copy_path(path))


def _is_hard_disk(place: Place) -> bool:
    return place.get("device") in ("", "disk", "lun")


def _decrypt(place: Place) -> str:
    return decrypt_command(place.get("file", "source") or _device(place) or _url(place), place.get("type", "driver"))


def _copy(place: Place) -> str:
    """Copy a device, or a disk of the network, into a file."""
    origin = _device(place) or _url(place)
    read_as = place.get("type", "driver") or "raw"  # never as what a guest may have written
    return command("qemu-img", "convert", "-f", read_as, "-O", "qcow2", origin, copy_path(origin))


def _device(place: Place) -> str:
    """The device, or what else is no file, that a disk is on; "" for a file and for a disk of the network."""
    file = place.get("file", "source")
    named = place.get("dev", "source") or place.get("dir", "source") or place.get("path", "source")
    return named or (file if file.startswith(_DEVICES) else "")


def _plain_name(origin: str) -> str:
    return PurePosixPath(origin.rstrip("/")).name or "disk"


def _url(place: Place) -> str:
    protocol, name = place.get("protocol", "source"), place.get("name", "source").lstrip("/")
    if protocol == "rbd":
        return f"rbd:{name}"
    port = place.get("port", "source/host")
    return f"{protocol}://{place.get('name', 'source/host')}{':' if port else ''}{port}/{name}"


def _source(place: Place) -> Mapping[str, Figure]:
    return {"source": shown(_device(place) or _url(place))}


def _volume(place: Place) -> Mapping[str, Figure]:
    return {"pool": shown(place.get("pool", "source")), "volume": shown(place.get("volume", "source"))}


def _forget_source(place: Place) -> None:
    drop(place.element, "source", "backingStore", "mirror")
    place.element.set("type", "file")


def _settings(driver: ET.Element) -> dict[str, str]:
    return {name: value for name, value in driver.attrib.items() if name not in ("name", "type", "discard")}


DISK = (
    Rule(
        "refused",
        "encrypted",
        test=lambda place: _is_hard_disk(place) and place.element.find(".//encryption") is not None,
        remedy=_decrypt,
    ),
    Rule(
        "refused",
        "disk_no_volume",
        test=both(_is_hard_disk, is_one_of("type", "volume")),
        figures=_volume,
        remedy=lambda place: command("virsh", "pool-start", place.get("pool", "source")),
    ),
    Rule(
        "refused",
        "disk_on_device",
        test=lambda place: _is_hard_disk(place) and (place.get("type") in _ON_THE_HOST or bool(_device(place))),
        figures=_source,
        remedy=_copy,
    ),
    Rule(
        "refused",
        "disk_on_network",
        test=both(_is_hard_disk, is_one_of("type", "network")),
        figures=_source,
        remedy=_copy,
    ),
    Rule("dropped", "disk_shared", where="shareable", gone=True),
    Rule("dropped", "disk_transient", where="transient", gone=True),
    Rule(
        "dropped",
        "disk_settings",
        where="driver",
        test=lambda place: bool(_settings(place.element)),
        figures=lambda place: {
            "settings": [shown(f"{name}={value}") for name, value in _settings(place.element).items()]
        },
        gone=True,
    ),
    Rule(
        "fitted",
        "medium",
        test=lambda place: not _is_hard_disk(place) and has("source")(place),
        figures=lambda place: {"path": shown(place.get("file", "source") or _device(place) or _url(place))},
        change=_forget_source,
    ),
    Rule(
        "kept",
        "disk",
        test=has("source"),
        figures=lambda place: {"path": shown(place.get("file", "source"))},
        change=_forget_source,
    ),
)
