"""What of a host is storage of its machines: the folders of its pools, and the files of its domains."""

import libvirt

from ravada_web.hypervisor.domain_xml import read_disks, read_nvram
from ravada_web.hypervisor.errors import is_code, reading
from ravada_web.hypervisor.facts import read_pools


def read_folders(connection: libvirt.virConnect) -> list[str]:
    """The folders of the storage pools that are active now. Raises HypervisorError."""
    with reading():
        return [pool.path for pool in read_pools(connection) if pool.active]


def read_files(connection: libvirt.virConnect) -> list[str]:
    """The files that domains have as their disks, and for the variables of their firmware. Raises HypervisorError."""
    with reading():
        xmls = [xml for domain in connection.listAllDomains() if (xml := _description(domain))]
        disks = [disk.source for xml in xmls for disk in read_disks(xml) if disk.source]
        return [*disks, *(nvram.path for xml in xmls if (nvram := read_nvram(xml)))]


def _description(domain: libvirt.virDomain) -> str:
    """A domain's XML; "" for one that was removed meanwhile."""
    try:
        return str(domain.XMLDesc())
    except libvirt.libvirtError as error:
        if not is_code(error, libvirt.VIR_ERR_NO_DOMAIN):
            raise
        return ""
