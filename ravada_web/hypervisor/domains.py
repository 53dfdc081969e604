"""Domains on one connection: define, start, stop, remove. What is so already is not an error."""

from collections.abc import Callable, Iterable, Sequence

import libvirt

from ravada_web.hypervisor.errors import is_code, translated
from ravada_web.hypervisor.health import read_health

# What is done to a domain; a start returns where its display is.
Act = Callable[[libvirt.virConnect, str], str | None]
_REMOVE_FLAGS = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)


def existing(connection: libvirt.virConnect) -> dict[str, str]:
    """The names of all domains by UUID."""
    with translated():
        return {domain.UUIDString(): domain.name() for domain in connection.listAllDomains()}


def list_domains(connection: libvirt.virConnect) -> list[tuple[str, str, str]]:
    """(name, UUID, state) of all domains."""
    return [(seen.name, uuid, seen.state) for uuid, seen in read_health(connection).domains.items()]


def states(connection: libvirt.virConnect, uuids: Iterable[str]) -> dict[str, str]:
    """The states of these domains; those that do not exist are left out."""
    seen = read_health(connection).domains
    return {uuid: seen[uuid].state for uuid in uuids if uuid in seen}


def domain_xml(connection: libvirt.virConnect, name: str) -> str:
    """A domain's definition as it is kept, without secrets. Raises HypervisorError."""
    with translated():
        return str(connection.lookupByName(name).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))


def define_all(connection: libvirt.virConnect, documents: Sequence[str]) -> None:
    """Define these domains; one that is defined already is brought to this definition."""
    with translated():
        for document in documents:
            connection.defineXML(document)


def start(connection: libvirt.virConnect, uuid: str) -> None:
    """Start a domain, or resume a paused one; a running one is left."""
    with translated():
        domain = connection.lookupByUUIDString(uuid)
        if domain.state()[0] == libvirt.VIR_DOMAIN_PAUSED:
            domain.resume()
        elif not domain.isActive():
            _ensure(domain.create, domain.isActive)


def shut_down(connection: libvirt.virConnect, uuid: str) -> None:
    """Press the domain's power button; its guest decides. One that is off, or gone, is left."""
    with translated():
        domain = _find(connection, uuid)
        if domain is not None and domain.isActive():
            _ensure(domain.shutdown, lambda: not domain.isActive())


def force_off(connection: libvirt.virConnect, uuid: str) -> None:
    """Cut the domain's power. One that is off, or gone, is left."""
    with translated():
        domain = _find(connection, uuid)
        if domain is not None and domain.isActive():
            _ensure(domain.destroy, lambda: not domain.isActive())


def undefine(connection: libvirt.virConnect, uuid: str) -> None:
    """Remove the domain's definition and what libvirt keeps with it; never its disks. One that is gone is left."""
    with translated():
        domain = _find(connection, uuid)
        if domain is not None:
            _ensure(lambda: domain.undefineFlags(_REMOVE_FLAGS), lambda: _find(connection, uuid) is None)


def _find(connection: libvirt.virConnect, uuid: str) -> libvirt.virDomain | None:
    try:
        return connection.lookupByUUIDString(uuid)
    except libvirt.libvirtError as error:
        if is_code(error, libvirt.VIR_ERR_NO_DOMAIN):
            return None
        raise


def _ensure(act: Callable[[], object], is_so: Callable[[], object]) -> None:
    """Act; an error does not count when the outcome is there all the same: another attempt was quicker."""
    try:
        act()
    except libvirt.libvirtError:
        if not is_so():
            raise
