"""Virtual machines as people have them, for tests of what is imported: each with what is found in it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from xml.sax.saxutils import escape

from tests.lab import LabNode
from tests.support.cluster import GUEST, IMAGES

QEMU = "xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'"
SPICE_DISPLAY = "<graphics type='spice' autoport='yes'/><video><model type='qxl'/></video>"
SPICE_CHANNEL = "<channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>"
NETWORK = "<interface type='network'><source network='default'/><model type='virtio'/></interface>"


@dataclass(frozen=True)
class Original:
    """A machine: its parts, and findings (verdict, element, kind) that are to be among those listed."""

    found: frozenset[tuple[str, str, str]]
    devices: str = ""
    machine: str = ""
    os: str = ""
    disk: str = GUEST
    disk_xml: str = ""
    name: str = ""
    memory_mib: int = 96
    attributes: str = ""
    vcpu: str = "<vcpu>1</vcpu>"

    def xml(self, name: str) -> str:
        """Its definition."""
        disk = self.disk_xml or (
            f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{self.disk}'/>"
            "<target dev='vda' bus='virtio'/></disk>"
        )
        return (
            f"<domain type='qemu' {self.attributes}><name>{escape(name)}</name>"
            f"<memory unit='MiB'>{self.memory_mib}</memory>{self.vcpu}"
            f"<os><type arch='x86_64' machine='q35'>hvm</type>{self.os}</os>{self.machine}"
            f"<devices>{disk}{NETWORK}{self.devices}</devices></domain>"
        )


def _found(*findings: tuple[str, str, str]) -> frozenset[tuple[str, str, str]]:
    return frozenset(findings)


_ACPI = "<features><acpi/><apic/></features>"
ORIGINALS: Mapping[str, Original] = {
    "spice": Original(
        _found(
            ("dropped", "channel", "spice"),
            ("dropped", "redirdev", "spice"),
            ("dropped", "smartcard", "spice"),
            ("fitted", "graphics", "display"),
            ("fitted", "video", "video_qxl"),
            ("fitted", "audio", "audio"),
        ),
        devices=f"{SPICE_DISPLAY}{SPICE_CHANNEL}<redirdev bus='usb' type='spicevmc'/>"
        "<smartcard mode='passthrough' type='spicevmc'/><audio id='1' type='spice'/><sound model='ich9'/>",
        machine=_ACPI,
    ),
    "second-audio": Original(
        _found(("fitted", "audio", "audio"), ("fitted", "sound/audio", "sound_output")),
        devices="<sound model='ich9'><audio id='2'/></sound><audio id='1' type='none'/><audio id='2' type='none'/>",
        machine=_ACPI,
    ),
    "passed-through": Original(
        _found(("dropped", "hostdev", "passed_through")),
        devices="<hostdev mode='subsystem' type='usb'><source><vendor id='0x1d6b'/><product id='0x0104'/></source>"
        "</hostdev>",
        machine=_ACPI,
    ),
    "shared-folder": Original(
        _found(
            ("dropped", "filesystem", "shared_folder"),
            ("dropped", "memoryBacking", "placed_on_host"),
            ("dropped", "vcpu", "pinned"),
            ("fitted", "serial", "port"),
        ),
        devices="<filesystem type='mount' accessmode='passthrough'><source dir='/srv/course'/><target dir='course'/>"
        "</filesystem><serial type='tcp'><source mode='bind' host='0.0.0.0' service='5001'/>"
        "<protocol type='telnet'/></serial>",
        machine="<memoryBacking><nosharepages/></memoryBacking>" + _ACPI,
        vcpu="<vcpu cpuset='0'>1</vcpu>",
    ),
    "bridged": Original(
        _found(("kept", "interface", "card_bridge"), ("kept", "interface", "card_direct")),
        devices="<interface type='bridge'><source bridge='br-school'/></interface>"
        "<interface type='direct'><source dev='eno7' mode='bridge'/></interface>",
    ),
    "encrypted": Original(
        _found(("refused", "disk vda", "encrypted")),
        disk_xml=f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{IMAGES}/locked.img'>"
        "<encryption format='luks'><secret type='passphrase' uuid='11111111-0a1b-4a0e-9a77-000000000002'/>"
        "</encryption></source><target dev='vda' bus='virtio'/></disk>",
    ),
    "encrypted-inside": Original(
        _found(("refused", "disk vda", "encrypted_inside")),
        disk=f"{IMAGES}/nested.qcow2",
    ),
    "damaged": Original(_found(("refused", "disk vda", "corrupt")), disk=f"{IMAGES}/damaged.qcow2"),
    "unmerged": Original(_found(("refused", "disk vda", "backing_file")), disk=f"{IMAGES}/overlay.qcow2"),
    "snapshots": Original(_found(("dropped", "disk vda", "snapshots")), disk=f"{IMAGES}/snapshots.qcow2"),
    "volume": Original(
        _found(("kept", "disk vda", "disk")),
        disk_xml="<disk type='volume' device='disk'><driver name='qemu' type='qcow2'/>"
        "<source pool='default' volume='guest.qcow2'/><target dev='vda' bus='virtio'/></disk>",
    ),
    "no-volume": Original(
        _found(("refused", "disk vda", "disk_no_volume")),
        disk_xml="<disk type='volume' device='disk'><driver name='qemu' type='qcow2'/>"
        "<source pool='default' volume='gone.qcow2'/><target dev='vda' bus='virtio'/></disk>",
    ),
    "monitor": Original(
        _found(("dropped", "qemu:commandline", "qemu_arguments")),
        attributes=QEMU,
        machine="<qemu:commandline><qemu:arg value='-qmp'/><qemu:arg value='tcp:0.0.0.0:4999,server,nowait'/>"
        "</qemu:commandline>",
    ),
    "hyper-v": Original(
        _found(("kept", "features/hyperv", "hyperv"), ("kept", "clock/timer", "hyperv_clock")),
        machine="<features><acpi/><hyperv><relaxed state='on'/><vapic state='on'/></hyperv></features>"
        "<clock offset='localtime'><timer name='hypervclock' present='yes'/></clock>",
    ),
    "uefi": Original(
        _found(("kept", "os", "uefi")),
        os="<loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE_4M.fd</loader>"
        f"<nvram template='/usr/share/OVMF/OVMF_VARS_4M.fd'>{IMAGES}/original_VARS.fd</nvram>",
        machine=_ACPI,
        memory_mib=128,
    ),
    "words": Original(
        _found(("dropped", "title", "notes"), ("dropped", "description", "notes"), ("dropped", "metadata", "notes")),
        name='Übung <3> & "Prüfung" 100%(x)s',
        machine='<title>&lt;b&gt;bold&lt;/b&gt;</title><description>it\'s "&amp;quot;" &lt;!-- so --&gt;</description>'
        "<metadata><x:a xmlns:x='urn:x-y'>z</x:a></metadata>",
    ),
}
# Disk images that are odd, beside the guest's.
IMAGES_SCRIPT = f"""
set -eu
cd {IMAGES}
cp guest.qcow2 damaged.qcow2
printf '\\002' | dd of=damaged.qcow2 bs=1 seek=79 conv=notrunc status=none
qemu-img create -q -f qcow2 -F qcow2 -b {GUEST} overlay.qcow2
cp guest.qcow2 snapshots.qcow2
qemu-img snapshot -c clean snapshots.qcow2
# It measures how fast it hashes, and on a busy host it may give up on that ("Unable to get accurate CPU usage").
luks() {{ qemu-img create -q --object secret,id=s,data=secret -f luks -o key-secret=s,iter-time=100 plain.img 1M; }}
luks || luks || luks || luks || luks
qemu-img convert -f raw -O qcow2 plain.img nested.qcow2
cp plain.img locked.img
"""


@contextmanager
def defined(master: LabNode) -> Iterator[Mapping[str, str]]:
    """All of them, defined on a node; answers the name of each there."""
    master.run(["sh", "-c", IMAGES_SCRIPT])
    names = {key: original.name or f"original-{key}" for key, original in ORIGINALS.items()}
    try:
        for key, original in ORIGINALS.items():
            master.run(["virsh", "define", "/dev/stdin"], stdin=original.xml(names[key]))
        yield names
    finally:
        for name in names.values():
            master.run(["virsh", "undefine", "--nvram", "--managed-save", name], check=False)
