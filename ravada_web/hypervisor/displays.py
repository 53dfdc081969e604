"""Displays of domains: where they are, access to them, and screenshots."""

import io
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import timedelta

import libvirt
from PIL import Image

from ravada_web.clock import now
from ravada_web.hypervisor import domains
from ravada_web.hypervisor.domain_xml import offer_display
from ravada_web.hypervisor.errors import HypervisorError, reading, translated
from ravada_web.hypervisor.tree import parse
from ravada_web.messages import message
from ravada_web.messages.foreign import Nonsense, is_name, is_path, printable, whole

# A card on a page shows no more of a screen than this.
PICTURE_SIZE = (480, 300)
# An 8K screen, and as much in PPM; anything larger is rejected.
MOST_PIXELS = 7680 * 4320
MOST_BYTES = MOST_PIXELS * 3 + 64
PICTURE_SECONDS = 5.0
# unix(7): what a socket's path may hold.
LONGEST_SOCKET = 107
MOST_PORT = 65535


@dataclass(frozen=True)
class Displays:
    """The displays of a running domain: the private VNC's socket, and the SPICE ports offered on an address."""

    socket: str = ""
    address: str = ""
    port: int = 0
    tls_port: int = 0


def read_displays(connection: libvirt.virConnect, uuid: str) -> Displays:
    """Where a running domain's displays are. Raises HypervisorError where it does not run."""
    with reading():
        return displays_of(connection.lookupByUUIDString(uuid).XMLDesc())


def displays_of(xml: str) -> Displays:
    """The displays in a running domain's XML, those that can be reached. Raises HypervisorError."""
    socket, address, ports = "", "", (0, 0)
    for graphics in parse(xml).findall("./devices/graphics"):
        listen = graphics.find("listen")
        if graphics.get("type") == "vnc" and listen is not None and listen.get("type") == "socket":
            socket = _socket(listen.get("socket", ""))
        elif graphics.get("type") == "spice" and listen is not None:
            address = printable(listen.get("address", ""))
            ports = (_port(graphics.get("port")), _port(graphics.get("tlsPort")))
    return Displays(socket, address, *ports)


def _socket(path: str) -> str:
    """A socket's path as ssh forwards it: of another one nothing is known. A colon would end it there."""
    fits = is_path(path) and is_name(path) and ":" not in path and len(path.encode()) <= LONGEST_SOCKET
    return path if fits else ""


def _port(said: str | None) -> int:
    """A port; 0 for one that is not open yet (-1), or is none."""
    try:
        return whole(said, MOST_PORT)
    except Nonsense:
        return 0


def start(connection: libvirt.virConnect, uuid: str, address: str) -> str:
    """Start a domain, its display offered on that address of its node ("" offers none); one that runs is left.

    Returns the socket of its private display.
    """
    with translated():
        domain = connection.lookupByUUIDString(uuid)
        if not domain.isActive():
            changed = offer_display(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE), address)
            if changed is not None:
                connection.defineXML(changed)
    domains.start(connection, uuid)
    return read_displays(connection, uuid).socket


def admit(connection: libvirt.virConnect, uuid: str, password: str, seconds: int) -> Displays:
    """Have a running domain's offered display take this password for so many seconds; returns where it is.

    Raises HypervisorError where it offers none: it was started before its node offered displays, or came
    running from one where it was so.
    """
    with translated():
        domain = connection.lookupByUUIDString(uuid)
        graphics = parse(domain.XMLDesc()).find("./devices/graphics[@type='spice']")
        if graphics is None:
            raise HypervisorError(message("hypervisor.no_viewer_display"))
        until = now() + timedelta(seconds=seconds)
        # Open connections stay; only new ones need the password.
        graphics.attrib |= {"passwd": password, "passwdValidTo": until.strftime("%Y-%m-%dT%H:%M:%S")}
        domain.updateDeviceFlags(ET.tostring(graphics, encoding="unicode"), libvirt.VIR_DOMAIN_AFFECT_LIVE)
    return read_displays(connection, uuid)


def picture(connection: libvirt.virConnect, uuid: str, deadline: float = PICTURE_SECONDS) -> bytes:
    """What a running domain shows, small, as WebP: decoded and encoded again, so that no byte from the guest gets
    through. `deadline` in seconds, for all of it.

    Raises HypervisorError, also for a screen that cannot be read.
    """
    end, raw = time.monotonic() + deadline, io.BytesIO()
    with translated():
        stream = connection.newStream()
        connection.lookupByUUIDString(uuid).screenshot(stream, 0)
        while part := stream.recv(256 * 1024):
            raw.write(part)
            if raw.tell() > MOST_BYTES or time.monotonic() > end:
                stream.abort()
                late = message("hypervisor.no_answer", deadline_seconds=deadline)
                raise HypervisorError(message("hypervisor.screen_too_large") if raw.tell() > MOST_BYTES else late)
        stream.finish()
    return small(raw)


def small(raw: io.BytesIO) -> bytes:
    """A screen in PPM or PNG as a small WebP; its size is looked at before it is decoded. Raises HypervisorError."""
    raw.seek(0)
    try:
        with Image.open(raw, formats=("PPM", "PNG")) as opened:
            if not 0 < opened.width * opened.height <= MOST_PIXELS:
                raise HypervisorError(message("hypervisor.screen_too_large"))
            image = opened if opened.mode == "RGB" else opened.convert("RGB")
            image.thumbnail(PICTURE_SIZE)
            webp = io.BytesIO()
            image.save(webp, "WEBP", quality=70, method=2)
            return webp.getvalue()
    except HypervisorError:
        raise
    except Exception as error:
        raise HypervisorError(message("hypervisor.screen_unreadable", said=printable(str(error)))) from error
