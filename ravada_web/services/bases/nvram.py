"""The NVRAM of a UEFI domain: found beside its disks when it is imported, and copied when a version is prepared."""

from typing import Any

import libvirt

from ravada_web.errors import InvalidInput
from ravada_web.hypervisor import domain_xml, firmware
from ravada_web.messages import message
from ravada_web.models import Base, BaseDisk, FileKind, Node
from ravada_web.remote import files, foreign_files, images
from ravada_web.remote.errors import CommandFailed, ImageRefused
from ravada_web.remote.images import BLOCK_SIZE, INSPECT_SECONDS, hash_seconds
from ravada_web.services.nodes import endpoints
from ravada_web.services.operations.execution import Handle
from ravada_web.services.storage import pools
from ravada_web.services.storage.file_names import temporary_name, version_file_name

# The variables of a UEFI firmware take half a MiB; what is far larger is something else.
MOST_MIB = 64


def found(node: Node, connection: libvirt.virConnect, xml: str) -> tuple[str, domain_xml.Nvram | None]:
    """A domain's XML with its firmware settled, and the file of that firmware's variables.

    A domain that has never run has no such file yet: its XML stays as it is, and clones begin with fresh variables.
    Raises HypervisorError, and InvalidInput for a file that can be no NVRAM, or is not whole.
    """
    known = firmware.settled(connection, xml) if domain_xml.leaves_firmware_open(xml) else xml
    nvram = domain_xml.read_nvram(known)
    size = _size(node, nvram.path) if nvram is not None else None
    if nvram is None or size is None:
        return xml, None
    if size > MOST_MIB << 20:
        raise InvalidInput({"domain": message("bases.nvram_too_large", file=nvram.path, most_mib=MOST_MIB)})
    _require_whole(node, nvram)
    return known, nvram


def _require_whole(node: Node, nvram: domain_xml.Nvram) -> None:
    """Raise InvalidInput for what is no plain file, or an image of another format, or one that names other files."""
    workspace, where = endpoints.workspace(), endpoints.target(node)
    try:
        images.ensure_self_contained(
            images.inspect(workspace, where, nvram.path, nvram.format, deadline=INSPECT_SECONDS)
        )
    except ImageRefused as error:
        raise InvalidInput({"domain": error.message}) from error


def _size(node: Node, path: str) -> int | None:
    """The file's length in bytes; None where it is missing."""
    try:
        return files.file_size(endpoints.workspace(), endpoints.target(node), path, deadline=INSPECT_SECONDS)
    except CommandFailed:
        return None


def source(nvram: domain_xml.Nvram) -> dict[str, Any]:
    """The NVRAM among the files that a base is made from."""
    return {"kind": FileKind.NVRAM, "target": "nvram", "path": nvram.path, "format": nvram.format}


def prepare(handle: Handle, base: Base, directory: str, number: int, path: str) -> BaseDisk:
    """Copy the NVRAM under a temporary name and hash it. Raises the errors of `run`."""
    workspace, where = endpoints.workspace(), endpoints.target(base.node)
    name = version_file_name(base, number, "nvram", FileKind.NVRAM)
    temporary = pools.in_pool(directory, temporary_name(name, handle.token))
    handle.check()
    foreign_files.copy_within(workspace, where, path, temporary, MOST_MIB << 20, deadline=INSPECT_SECONDS)
    size = files.file_size(workspace, where, temporary, deadline=INSPECT_SECONDS)
    return BaseDisk(
        kind=FileKind.NVRAM,
        target="nvram",
        file_name=name,
        size=size,
        virtual_size=size,
        sha256=images.sha256(workspace, where, temporary, deadline=hash_seconds(size)),
        block_size=BLOCK_SIZE,
        blocks=images.block_manifest(workspace, where, temporary, BLOCK_SIZE, deadline=hash_seconds(size)),
    )
