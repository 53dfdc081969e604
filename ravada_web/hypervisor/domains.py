"""Domains on one connection: define, start, stop, remove. What is so already is not an error."""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue

import libvirt

from ravada_web.hypervisor.errors import HypervisorError, is_code, reading, translated
from ravada_web.hypervisor.health import read_health
from ravada_web.messages import NOTHING, Message, message

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
    with reading():
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
    with reading():
        return str(connection.lookupByName(name).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))


def has_saved_memory(connection: libvirt.virConnect, name: str) -> bool:
    """Whether a domain that is off would go on from its saved memory. Raises HypervisorError."""
    with translated():
        return bool(connection.lookupByName(name).hasManagedSaveImage())


@dataclass(frozen=True)
class Definition:
    """A domain's definition as it is kept, without secrets; whether it runs, would go on from saved memory, and has
    snapshots."""

    xml: str
    runs: bool
    saved: bool
    snapshots: bool


def definition(connection: libvirt.virConnect, uuid: str) -> Definition | None:
    """A domain as it is kept; None where there is none of this UUID. Raises HypervisorError."""
    with reading():
        domain = _find(connection, uuid)
        if domain is None:
            return None
        xml = str(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        return Definition(xml, bool(domain.isActive()), bool(domain.hasManagedSaveImage()), domain.snapshotNum() > 0)


def define_all(connection: libvirt.virConnect, documents: Sequence[str]) -> None:
    """Define these domains; one that is defined already is brought to this definition."""
    with translated():
        for document in documents:
            connection.defineXML(document)


def start(connection: libvirt.virConnect, uuid: str) -> None:
    """Start a domain, or resume a paused one; a running one is left."""
    with translated():
        domain = connection.lookupByUUIDString(uuid)
        if domain.isActive():
            _go_on(domain)
        else:
            _ensure(domain.create, domain.isActive)


def shut_down(connection: libvirt.virConnect, uuid: str) -> None:
    """Press the domain's power button; its guest decides, and one that is paused goes on for it. One that is off, or
    gone, is left.
    """
    with translated():
        domain = _find(connection, uuid)
        if domain is not None and domain.isActive():
            _go_on(domain)
            _ensure(domain.shutdown, lambda: not domain.isActive())


def shut_down_all(connection: libvirt.virConnect, uuids: Iterable[str], seconds: float = 2.0) -> dict[str, Message]:
    """Press the power buttons of several domains side by side: one that is stuck keeps no other waiting.

    Returns why, for those that could not be pressed; what takes longer than so many seconds is left to itself.
    """
    answers: SimpleQueue[tuple[str, Message]] = SimpleQueue()

    def press(uuid: str) -> None:
        try:
            shut_down(connection, uuid)
            answers.put((uuid, NOTHING))
        except HypervisorError as error:
            answers.put((uuid, error.message))

    unanswered = set(uuids)
    for uuid in unanswered:
        threading.Thread(target=press, args=(uuid,), daemon=True).start()
    failures: dict[str, Message] = {}
    end = time.monotonic() + seconds
    while unanswered:
        try:
            uuid, why = answers.get(timeout=max(0.0, end - time.monotonic()))
        except Empty:
            return failures | dict.fromkeys(unanswered, message("hypervisor.no_answer", deadline_seconds=seconds))
        unanswered.discard(uuid)
        if why:
            failures[uuid] = why
    return failures


def force_off(connection: libvirt.virConnect, uuid: str) -> None:
    """Cut the domain's power. One that is off, or gone, is left."""
    with translated():
        domain = _find(connection, uuid)
        if domain is not None and domain.isActive():
            _ensure(domain.destroy, lambda: not domain.isActive())


def end_all(connection: libvirt.virConnect, uuids: Collection[str]) -> None:
    """Cut the power of those of these domains that run, and let none of them start by itself; the others are left.
    Raises HypervisorError, after all were tried."""
    failures: list[HypervisorError] = []
    with translated():
        ours = [domain for domain in connection.listAllDomains() if domain.UUIDString() in uuids]
    for domain in ours:
        try:
            with translated():
                _end(domain)
        except HypervisorError as error:
            failures.append(error)
    if failures:
        raise failures[0]


def _end(domain: libvirt.virDomain) -> None:
    if domain.isActive():
        _ensure(domain.destroy, lambda: not domain.isActive())
    if domain.autostart():
        domain.setAutostart(0)


def undefine(connection: libvirt.virConnect, uuid: str) -> None:
    """Remove the domain's definition and what libvirt keeps with it; never its disks. One that is gone is left.

    Something on its host may have started it meanwhile: then it is ended, or it would run on without a definition.
    """
    with translated():
        domain = _find(connection, uuid)
        if domain is not None and domain.isPersistent():
            _ensure(partial(domain.undefineFlags, _REMOVE_FLAGS), lambda: _find(connection, uuid) is None)
        domain = _find(connection, uuid)
        if domain is not None:
            _ensure(domain.destroy, lambda: _find(connection, uuid) is None)


def keep_off(connection: libvirt.virConnect, uuid: str) -> None:
    """Let a domain not start by itself with its host. One that is gone is left."""
    with translated():
        domain = _find(connection, uuid)
        if domain is not None and domain.autostart():
            domain.setAutostart(0)


def _go_on(domain: libvirt.virDomain) -> None:
    """Have a domain that is paused, or whose guest sleeps, go on."""
    state = domain.state()[0]
    if state == libvirt.VIR_DOMAIN_PAUSED:
        _ensure(domain.resume, lambda: domain.state()[0] != libvirt.VIR_DOMAIN_PAUSED)
    elif state == libvirt.VIR_DOMAIN_PMSUSPENDED:
        domain.pMWakeup()


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
