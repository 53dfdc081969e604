"""Displays of domains: where they are, access to them, and screenshots."""

import io
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import libvirt
from PIL import Image

from ravada_web.hypervisor import domains
from ravada_web.hypervisor.domain_xml import offer_display
from ravada_web.hypervisor.errors import HypervisorError, translated
from ravada_web.hypervisor.tree import parse
from ravada_web.messages import message
from ravada_web.messages.foreign import printable

# A card on a page shows no more of a screen than this.
PICTURE_SIZE = (480, 300)
# An 8K screen in PPM; anything larger is rejected.
MOST_BYTES = 7680 * 4320 * 3 + 64


@dataclass(frozen=True)
class Displays:
    """The displays of a running domain: the private VNC's socket, and the SPICE ports offered on an address."""

    socket: str = ""
    address: str = ""
    port: int = 0
    tls_port: int = 0


def read_displays(connection: libvirt.virConnect, uuid: str) -> Displays:
    """Where a running domain's displays are. Raises HypervisorError where it does not run."""
    with translated():
        document = connection.lookupByUUIDString(uuid).XMLDesc()
    socket, address, ports = "", "", (0, 0)
    for graphics in parse(document).findall("./devices/graphics"):
        listen = graphics.find("listen")
        if graphics.get("type") == "vnc" and listen is not None and listen.get("type") == "socket":
            socket = listen.get("socket", "")
        elif graphics.get("type") == "spice" and listen is not None:
            address = listen.get("address", "")
            ports = (_port(graphics.get("port")), _port(graphics.get("tlsPort")))
    return Displays(socket, address, *ports)


def _port(text: str | None) -> int:
    return max(0, int(text or 0))


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

    Raises HypervisorError where it offers none: it was started before its node offered displays.
    """
    with translated():
        domain = connection.lookupByUUIDString(uuid)
        graphics = parse(domain.XMLDesc()).find("./devices/graphics[@type='spice']")
        if graphics is None:
            raise HypervisorError(message("hypervisor.no_viewer_display"))
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        # Open connections stay; only new ones need the password.
        graphics.attrib |= {"passwd": password, "passwdValidTo": until.strftime("%Y-%m-%dT%H:%M:%S")}
        domain.updateDeviceFlags(ET.tostring(graphics, encoding="unicode"), libvirt.VIR_DOMAIN_AFFECT_LIVE)
    return read_displays(connection, uuid)


def picture(connection: libvirt.virConnect, uuid: str) -> bytes:
    """What a running domain shows, small, as WebP: decoded and encoded again, so that no byte from the guest gets
    through.

    Raises HypervisorError, also for a screen that cannot be read.
    """
    with translated():
        stream = connection.newStream()
        connection.lookupByUUIDString(uuid).screenshot(stream, 0)
        raw = bytearray()
        while part := stream.recv(256 * 1024):
            raw += part
            if len(raw) > MOST_BYTES:
                stream.abort()
                raise HypervisorError(message("hypervisor.screen_too_large"))
        stream.finish()
    return _small(bytes(raw))


def _small(raw: bytes) -> bytes:
    try:
        with Image.open(io.BytesIO(raw), formats=("PPM", "PNG")) as opened:
            image = opened.convert("RGB")
            image.thumbnail(PICTURE_SIZE)
            webp = io.BytesIO()
            image.save(webp, "WEBP", quality=70, method=2)
            return webp.getvalue()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise HypervisorError(message("hypervisor.screen_unreadable", said=printable(str(error)))) from error
