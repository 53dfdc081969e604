"""A running domain that moves from one libvirt to another, both of whose connections are ours: if this process dies,
both end it, and the domain goes on where it was."""

import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial

import libvirt

from ravada_web.errors import Conflict
from ravada_web.hypervisor import domains
from ravada_web.hypervisor.displays import displays_of
from ravada_web.hypervisor.domain_xml import Disk, move_nvram, move_offered_display, read_disks
from ravada_web.hypervisor.errors import is_code, reading, translated
from ravada_web.hypervisor.tree import MOST_CAPABILITIES, drop, parse
from ravada_web.messages import message
from ravada_web.messages.foreign import Nonsense, whole

MIB = 1 << 20
# What libvirt has for no limit, in MiB a second.
_UNBOUND = ((1 << 63) - 1) // MIB
# How often it is looked how far it is.
LOOK_SECONDS = 0.2
# After it was ended early libvirt says so at once, and after its connection was cut within keepalive's time.
END_SECONDS = 60.0
MOST_UID = (1 << 32) - 1
_FLAGS = (
    libvirt.VIR_MIGRATE_LIVE
    | libvirt.VIR_MIGRATE_PERSIST_DEST
    | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
    | libvirt.VIR_MIGRATE_NON_SHARED_INC
    | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
    | libvirt.VIR_MIGRATE_AUTO_CONVERGE
)
# Up to QEMU 10.0 no guest with one of these moves while it runs.
_CLIPBOARD = "./devices/channel[@type='qemu-vdagent']"


class Presence(Enum):
    """How a domain stands on a node: it is not there; it waits for a guest that may come (and has never run there);
    it is off, paused or running."""

    NONE = auto()
    INCOMING = auto()
    OFF = auto()
    PAUSED = auto()
    RUNNING = auto()


def presence(connection: libvirt.virConnect, uuid: str) -> Presence:
    """How the domain stands there. Raises HypervisorError."""
    with reading():
        try:
            domain = connection.lookupByUUIDString(uuid)
            state, lasts = domain.state()[0], bool(domain.isPersistent())
        except libvirt.libvirtError as error:
            if is_code(error, libvirt.VIR_ERR_NO_DOMAIN):
                return Presence.NONE
            raise
    if state in (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_CRASHED):
        return Presence.OFF
    if state not in (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PMSUSPENDED):
        return Presence.RUNNING
    # It is made to last by the step that ends a move.
    return Presence.PAUSED if lasts else Presence.INCOMING


def qemu_uid(connection: libvirt.virConnect) -> int:
    """The number of the user that guests run as there. Raises HypervisorError."""
    with reading():
        host = parse(connection.getCapabilities(), "capabilities", MOST_CAPABILITIES)
        for model in host.findall("./host/secmodel"):
            if model.findtext("model") == "dac":
                label = model.findtext("baselabel") or ""
                return whole(label.partition(":")[0].removeprefix("+"), MOST_UID)
    return 0


@dataclass(frozen=True)
class Guest:
    """A running domain: its live definition as another libvirt takes it, and its disks."""

    xml: str
    disks: Sequence[Disk]


def read_guest(connection: libvirt.virConnect, uuid: str) -> Guest:
    """The running domain. Raises HypervisorError."""
    with reading():
        xml = str(connection.lookupByUUIDString(uuid).XMLDesc(libvirt.VIR_DOMAIN_XML_MIGRATABLE))
        return Guest(xml, read_disks(xml))


def for_target(xml: str, files: Mapping[str, str], emulator: str, viewers: str) -> str:
    """The running domain as the target's libvirt is to run it: its files by their paths there, the display for viewers
    that it was given on the address `viewers` of the target, or away (""). What libvirt chose for it here (the backing
    files' paths, its display's socket) is chosen there anew."""
    root = parse(xml)
    move_nvram(root, files)
    devices = root.find("devices")
    assert devices is not None, "domains have devices"
    found = devices.find("emulator")
    if found is not None:
        found.text = emulator
    for disk in devices.findall("disk"):
        drop(disk, "backingStore", "mirror")
        source = disk.find("source")
        if source is not None and source.get("file", "") in files:
            source.set("file", files[source.get("file", "")])
            source.attrib.pop("index", None)
    for graphics in devices.findall("./graphics[@type='vnc']"):
        for each in (graphics, *graphics.findall("listen[@type='socket']")):
            each.attrib.pop("socket", None)
    move_offered_display(devices, viewers)
    return ET.tostring(root, encoding="unicode")


def unplug_clipboard(connection: libvirt.virConnect, uuid: str) -> None:
    """Take the running domain's clipboard channels out, until `plug_clipboard`; its definition keeps them. Raises
    HypervisorError."""
    with translated():
        domain = connection.lookupByUUIDString(uuid)
        for channel in parse(domain.XMLDesc()).findall(_CLIPBOARD):
            domain.detachDeviceFlags(ET.tostring(channel, encoding="unicode"), libvirt.VIR_DOMAIN_AFFECT_LIVE)


def plug_clipboard(connection: libvirt.virConnect, uuid: str) -> None:
    """Put in what the domain's definition has of clipboard channels and the running one has not. Raises
    HypervisorError."""
    with translated():
        domain = connection.lookupByUUIDString(uuid)
        if not domain.isActive():
            return
        has = {_port(channel) for channel in parse(domain.XMLDesc()).findall(_CLIPBOARD)}
        for channel in parse(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)).findall(_CLIPBOARD):
            if _port(channel) not in has:
                drop(channel, "alias")
                domain.attachDeviceFlags(ET.tostring(channel, encoding="unicode"), libvirt.VIR_DOMAIN_AFFECT_LIVE)


def _port(channel: ET.Element) -> str:
    target = channel.find("target")
    return target.get("name", "") if target is not None else ""


def end_job(connection: libvirt.virConnect, uuid: str) -> None:
    """End the domain's move, where one of a former client goes on. Raises HypervisorError."""
    with translated():
        domain = connection.lookupByUUIDString(uuid)
        with suppress(libvirt.libvirtError):  # then there is none
            domain.abortJob()


def resume(connection: libvirt.virConnect, uuid: str) -> None:
    """Have a paused domain go on; one that waits for space, or whose QEMU failed, is left. Raises HypervisorError."""
    with translated():
        state, reason = connection.lookupByUUIDString(uuid).state()
    broken = (libvirt.VIR_DOMAIN_PAUSED_IOERROR, libvirt.VIR_DOMAIN_PAUSED_CRASHED)
    if state == libvirt.VIR_DOMAIN_PAUSED and reason not in broken:
        domains.start(connection, uuid)


def display(connection: libvirt.virConnect, uuid: str) -> str:
    """The socket of the domain's display, "" of one that is off. Raises HypervisorError."""
    with reading():
        return displays_of(connection.lookupByUUIDString(uuid).XMLDesc()).socket


@dataclass(frozen=True)
class Course:
    """How a move goes: the sockets for memory and disks, the disks that travel, the domain as it runs at the target and
    as it is kept there, how many MiB a second it may take at most now (0: no limit), and after how many seconds `late`
    is called."""

    memory: str
    disks_socket: str
    disks: Sequence[str]
    running: str
    kept: str
    most_mib: Callable[[], int]
    deadline: float


@dataclass(frozen=True)
class Progress:
    """How far a move is: percent of what is known to be there to copy, and MiB that are left."""

    percent: float
    left_mib: int


def migrate(
    source: libvirt.virConnect,
    target: libvirt.virConnect,
    uuid: str,
    course: Course,
    *,
    on_progress: Callable[[Progress], object],
    late: Callable[[], bool],
) -> int:
    """Move the running domain; returns for how many milliseconds its guest stood still.

    `on_progress` is called several times a second; what it raises ends the move, and is raised. At the deadline the
    guest is paused, so that the rest is copied, where `late` says so; else the move is ended. Raises HypervisorError;
    then it runs where it was, or it is not known where: look.
    """
    with translated():
        domain = source.lookupByUUIDString(uuid)
    errors: list[libvirt.libvirtError] = []
    pace = _Pace(domain, course)
    mover = threading.Thread(target=partial(_migrate, domain, target, course, pace.each_disk, errors), daemon=True)
    mover.start()
    try:
        _follow(domain, mover, course.deadline, pace, on_progress, late)
    finally:
        _end(domain, mover)
    if errors:
        with translated():
            raise errors[0]
    return _stood_still(target, uuid)


def _migrate(
    domain: libvirt.virDomain,
    target: libvirt.virConnect,
    course: Course,
    most_mib: int,
    errors: list[libvirt.libvirtError],
) -> None:
    params: dict[str, str | int | list[str]] = {
        libvirt.VIR_MIGRATE_PARAM_URI: f"unix://{course.memory}",
        libvirt.VIR_MIGRATE_PARAM_DISKS_URI: f"unix://{course.disks_socket}",
        libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS: list(course.disks),
        libvirt.VIR_MIGRATE_PARAM_DEST_XML: course.running,
        libvirt.VIR_MIGRATE_PARAM_PERSIST_XML: course.kept,
    }
    if most_mib:
        params[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = most_mib
    try:
        domain.migrate3(target, params, _FLAGS)
    except libvirt.libvirtError as error:
        errors.append(error)


class _Pace:
    """Keeps a move to what it may take. libvirt is told when it begins, of each disk, all of which go first; of memory
    it is told again."""

    def __init__(self, domain: libvirt.virDomain, course: Course) -> None:
        self._domain, self._most, self._disks = domain, course.most_mib, max(1, len(course.disks))
        self._told = self.each_disk = self._of_disk(course.most_mib())

    def keep(self) -> None:
        """Tell of another limit, once the move is under way; one that has just ended is left."""
        most = self._most()
        if most == self._told:
            return
        self._told = most
        with suppress(libvirt.libvirtError):
            self._domain.migrateSetMaxSpeed(most or _UNBOUND)

    def _of_disk(self, most: int) -> int:
        return max(1, most // self._disks) if most else 0


def _follow(
    domain: libvirt.virDomain,
    mover: threading.Thread,
    deadline: float,
    pace: _Pace,
    on_progress: Callable[[Progress], object],
    late: Callable[[], bool],
) -> None:
    end, paused = time.monotonic() + deadline, False
    while mover.is_alive():
        mover.join(LOOK_SECONDS)
        seen = _progress(domain)
        if seen is not None:
            pace.keep()
            on_progress(seen)
        if not paused and time.monotonic() > end and mover.is_alive():
            if not late():
                raise Conflict(message("moves.too_late", deadline_seconds=deadline))
            with suppress(libvirt.libvirtError):
                domain.suspend()
            paused = True


def _end(domain: libvirt.virDomain, mover: threading.Thread) -> None:
    """End a move that goes on; nothing happens to one that has ended. In its first moments there is no job to end
    yet."""
    end = time.monotonic() + END_SECONDS
    while mover.is_alive() and time.monotonic() < end:
        with suppress(libvirt.libvirtError):
            domain.abortJob()
        mover.join(LOOK_SECONDS)


def _progress(domain: libvirt.virDomain) -> Progress | None:
    """None where it has none (any more)."""
    try:
        job = domain.jobStats()
        total, left = whole(job.get("data_total", 0)), whole(job.get("data_remaining", 0))
    except (libvirt.libvirtError, Nonsense):
        return None
    return Progress(100 * (total - left) / total, left // MIB) if total else None


def _stood_still(target: libvirt.virConnect, uuid: str) -> int:
    try:
        job = target.lookupByUUIDString(uuid).jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
        return whole(job.get("downtime", 0))
    except (libvirt.libvirtError, Nonsense):
        return 0


def own_targets(disks: Collection[Disk], files: Collection[str]) -> list[str]:
    """The targets of the disks that are these files."""
    return [disk.target for disk in disks if disk.source in files]
