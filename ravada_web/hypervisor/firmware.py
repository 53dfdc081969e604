"""The firmware of a UEFI domain, as its own libvirt settles it: which program, which file of variables."""

import shlex
from collections.abc import Iterator
from itertools import pairwise

import libvirt

from ravada_web.hypervisor.domain_xml import bare_machine, with_firmware
from ravada_web.hypervisor.errors import reading
from ravada_web.messages.foreign import is_path, json_object

SECURE = "driver=cfi.pflash01,property=secure,value=on"
CODE, VARIABLES = "libvirt-pflash0-storage", "libvirt-pflash1-storage"


def settled(connection: libvirt.virConnect, xml: str) -> str:
    """The domain's XML with the firmware in it that this libvirt would start it with.

    Older libvirts keep in a domain no more than that it boots by UEFI, and choose at each start; how they choose
    differs from host to host, and so would Secure Boot. Raises HypervisorError.
    """
    with reading():
        words = shlex.split(connection.domainXMLToNative("qemu-argv", bare_machine(xml)))
        files = dict(_files(words))
    if CODE not in files or VARIABLES not in files:
        return xml
    return with_firmware(xml, files[CODE], files[VARIABLES], secure=SECURE in words)


def _files(words: list[str]) -> Iterator[tuple[str, str]]:
    """QEMU's names of the files that its arguments open, and their paths."""
    for option, value in pairwise(words):
        if option == "-blockdev" and value.startswith("{"):
            device = json_object(value)
            if device.get("driver") == "file" and is_path(device["filename"]):
                yield device.get("node-name", ""), device["filename"]
