"""The disk images that a base is made of: whether they can be copied, and the command that fixes one that cannot."""

import shlex
from collections.abc import Callable, Mapping

from ravada_web.errors import Conflict
from ravada_web.hypervisor.domain_xml import Disk
from ravada_web.hypervisor.hardware.disks import copy_path, decrypt_command, decrypt_inside_command
from ravada_web.hypervisor.hardware.findings import Finding
from ravada_web.messages import Message, message, sentences
from ravada_web.models import Node
from ravada_web.remote import images
from ravada_web.remote.errors import ImageRefused
from ravada_web.remote.images import INSPECT_SECONDS, ImageInfo
from ravada_web.services.nodes import endpoints

LEAST_DISK_BYTES = 1 << 20


def _flatten(path: str, image_format: str) -> str:
    return shlex.join(["qemu-img", "convert", "-f", image_format, "-O", "qcow2", path, copy_path(path, ".flat.qcow2")])


def _repair(path: str, image_format: str) -> str:
    return shlex.join(["qemu-img", "check", "-r", "all", "-f", image_format, path])


def _follow(path: str, _image_format: str) -> str:
    return shlex.join(["readlink", "-f", path])


def _copy(path: str, _image_format: str) -> str:
    return shlex.join(["cp", "--reflink=auto", "--sparse=always", path, copy_path(path, ".copy")])


# What fixes each refusal: a command made of the image's path and format.
_REMEDIES: Mapping[str, Callable[[str, str], str]] = {
    "remote.corrupt": _repair,
    "remote.encrypted": decrypt_command,
    "remote.encrypted_inside": decrypt_inside_command,
    "remote.backing_file": _flatten,
    "remote.data_file": _flatten,
    "remote.not_plain_link": _follow,
    "remote.not_plain_names": _copy,
    "remote.no_format": _flatten,
    "bases.other_format": _flatten,
    "bases.raw_like_another": _flatten,
}


def findings(node: Node, disk: Disk) -> list[Finding]:
    """What stands in the way of copying a disk's image, and what in it is not copied."""
    element = f"disk {disk.target}"
    try:
        info = _sound(node, disk.source, disk.format)
    except ImageRefused as error:
        return [Finding("refused", element, *_explained(node, disk.source, disk.format, error))]
    return [
        Finding("dropped", element, message(f"hardware.{kind}", names=names))
        for kind, names in (("snapshots", info.snapshots), ("bitmaps", info.bitmaps))
        if names
    ]


def require_sound(node: Node, path: str, image_format: str) -> ImageInfo:
    """What the image is. Raises Conflict, with the command that fixes it, for one that cannot be copied."""
    try:
        return _sound(node, path, image_format)
    except ImageRefused as error:
        raise Conflict(with_command(*_explained(node, path, image_format, error))) from error


def with_command(refused: Message, remedy: str) -> Message:
    """Why something is refused, and the command that fixes it in the same line."""
    return sentences(refused, message("bases.fix_with", command=remedy)) if remedy else refused


def _sound(node: Node, path: str, image_format: str) -> ImageInfo:
    workspace, where = endpoints.workspace(), endpoints.target(node)
    info = images.inspect(workspace, where, path, image_format, deadline=INSPECT_SECONDS)
    images.ensure_self_contained(info)
    if images.has_encrypted_content(workspace, where, path, info, deadline=INSPECT_SECONDS):
        raise ImageRefused(message("remote.encrypted_inside"))
    return info


def _explained(node: Node, path: str, wanted: str, error: ImageRefused) -> tuple[Message, str]:
    """Why an image is refused, and the command that fixes it; of one in another format, by what it is."""
    text, image_format = error.message, wanted
    if text.kind == "remote.not_of_format":
        text, image_format = _of_another_format(node, path, wanted) or (text, wanted)
    remedy = _REMEDIES.get(text.kind)
    return text, remedy(path, image_format) if remedy else ""


def _of_another_format(node: Node, path: str, wanted: str) -> tuple[Message, str] | None:
    """What is said of an image whose header is that of another format, and as what it is to be read; None where it is
    not there, or is smaller than any disk: every other file could be a raw image."""
    try:
        header = images.read_header(
            endpoints.workspace(), endpoints.target(node), path, wanted, deadline=INSPECT_SECONDS
        )
    except ImageRefused:
        return None
    seen = header.format
    if seen == wanted or (seen == "raw" and header.virtual_size < LEAST_DISK_BYTES):
        return None
    if seen == "luks":
        return message("remote.encrypted"), seen
    if wanted == "raw":
        return message("bases.raw_like_another", path=path, format=seen), wanted
    try:
        _sound(node, path, seen)
    except ImageRefused as worse:
        if worse.message.kind != "remote.no_format":
            return worse.message, seen
    return message("bases.other_format", path=path, format=seen, wanted=wanted), seen
