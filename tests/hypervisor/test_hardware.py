"""What becomes of each element of an imported domain; hostile and unknown ones too."""

import xml.etree.ElementTree as ET

import pytest

from ravada_web.hypervisor.errors import HypervisorError
from ravada_web.hypervisor.hardware.analysis import analyse
from ravada_web.hypervisor.hardware.findings import Finding
from ravada_web.hypervisor.hardware.machine import machine_family
from ravada_web.hypervisor.tree import MOST_DEPTH, MOST_ELEMENTS, parse
from ravada_web.needs import Need

DISK = (
    "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/images/a.qcow2'/>"
    "<target dev='vda' bus='virtio'/></disk>"
)
PLAIN = {Need("arch", "x86_64"), Need("machine", "q35")}


def domain(devices: str = "", machine: str = "", os: str = "", kind: str = "") -> str:
    return (
        f"<domain type='qemu' {kind}><name>original</name><memory unit='MiB'>128</memory><vcpu>1</vcpu>"
        f"<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type>{os}</os>{machine}"
        f"<devices>{DISK}{devices}</devices></domain>"
    )


def told(xml: str) -> set[tuple[str, str, str]]:
    """(verdict, element, kind) of each finding."""
    return {(f.verdict, f.element, f.text.kind.removeprefix("hardware.")) for f in analyse(xml).findings}


def template(xml: str) -> ET.Element:
    return parse(analyse(xml).template)


SPICE = [
    ("<channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>", "channel"),
    (
        "<channel type='spiceport'><source channel='org.x.0'/><target type='virtio' name='org.x.0'/></channel>",
        "channel",
    ),
    ("<redirdev bus='usb' type='spicevmc'/>", "redirdev"),
    ("<redirdev bus='usb' type='tcp'><source mode='connect' host='h' service='4000'/></redirdev>", "redirdev"),
    ("<redirfilter><usbdev allow='no'/></redirfilter>", "redirfilter"),
    ("<smartcard mode='passthrough' type='spicevmc'/>", "smartcard"),
    ("<smartcard mode='host'/>", "smartcard"),
    ("<controller type='ccid' index='0'/>", "controller"),
]


@pytest.mark.parametrize(("device", "element"), SPICE)
def test_what_only_spice_can_serve_goes_with_its_display(device: str, element: str) -> None:
    assert ("dropped", element, "spice") in told(domain(device))
    assert template(domain(device)).find(f"./devices/{element}") is None


HOSTS_OWN = [
    ("<hostdev mode='subsystem' type='pci'><source><address domain='0' bus='0x1' slot='0x0' function='0x0'/></source>"
     "</hostdev>", "hostdev", "passed_through"),
    ("<hostdev mode='subsystem' type='mdev' model='vfio-pci'><source><address uuid='c2177883-f1bb'/></source>"
     "</hostdev>", "hostdev", "passed_through"),
    ("<filesystem type='mount'><driver type='virtiofs'/><source dir='/srv/x'/><target dir='x'/></filesystem>",
     "filesystem", "shared_folder"),
    ("<shmem name='ivshmem0'><model type='ivshmem-plain'/></shmem>", "shmem", "of_host"),
    ("<input type='evdev'><source dev='/dev/input/event3'/></input>", "input", "of_host"),
    ("<interface type='vhostuser'><source type='unix' path='/tmp/v.sock' mode='server'/></interface>",
     "interface", "card_of_host"),
    ("<interface type='hostdev'><source><address type='pci' domain='0' bus='1' slot='0' function='0'/></source>"
     "</interface>", "interface", "card_of_host"),
    ("<memory model='nvdimm'><source><path>/n</path></source><target><size>1</size></target></memory>",
     "memory", "memory_of_host"),
    ("<channel type='tcp'><source mode='bind' host='0.0.0.0' service='1'/><target type='guestfwd'/></channel>",
     "channel", "channel_of_host"),
]  # fmt: skip


@pytest.mark.parametrize(("device", "element", "kind"), HOSTS_OWN)
def test_what_belongs_to_one_host_is_said_and_dropped(device: str, element: str, kind: str) -> None:
    assert ("dropped", element, kind) in told(domain(device))
    assert template(domain(device)).find(f"./devices/{element}") is None


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        ("<numatune><memory mode='strict' nodeset='0'/></numatune>", "placed_on_host"),
        ("<memoryBacking><hugepages/></memoryBacking>", "placed_on_host"),
        ("<blkiotune><device><path>/dev/sda</path><weight>200</weight></device></blkiotune>", "placed_on_host"),
        ("<launchSecurity type='sev'><policy>0x3</policy></launchSecurity>", "launch_security"),
        ("<seclabel type='static' model='dac'><label>0:0</label></seclabel>", "security_label"),
        ("<metadata><x:secret xmlns:x='urn:x'>s</x:secret></metadata>", "notes"),
    ],
)
def test_how_one_host_ran_it_is_said_and_dropped(part: str, kind: str) -> None:
    (tag,) = [child.tag for child in ET.fromstring(f"<a>{part}</a>")]
    assert ("dropped", tag, kind) in told(domain(machine=part))
    assert template(domain(machine=part)).find(tag) is None


def test_pins_go_and_shares_of_the_processor_stay() -> None:
    tuned = "<cputune><shares>512</shares><vcpupin vcpu='0' cpuset='3'/></cputune>"
    pinned = domain(machine=tuned).replace("<vcpu>", "<vcpu cpuset='2-3'>")
    assert {("dropped", "cputune/vcpupin", "pinned"), ("dropped", "vcpu", "pinned")} <= told(pinned)
    root = template(pinned)
    assert [child.tag for child in root.findall("./cputune/*")] == ["shares"]
    vcpu = root.find("vcpu")
    assert vcpu is not None and (vcpu.text, vcpu.attrib) == ("1", {})


@pytest.mark.parametrize(
    "arguments",
    [
        "<q:arg value='-monitor'/><q:arg value='tcp:0.0.0.0:4444,server,nowait'/>",
        "<q:env name='QEMU_X' value='/etc/shadow'/>",
    ],
)
def test_arguments_behind_libvirts_back_are_shown_and_dropped(arguments: str) -> None:
    namespace = "xmlns:q='http://libvirt.org/schemas/domain/qemu/1.0'"
    xml = domain(machine=f"<q:commandline>{arguments}</q:commandline>", kind=namespace)
    (finding,) = [f for f in analyse(xml).findings if f.element == "qemu:commandline"]
    assert finding.verdict == "dropped"
    assert finding.text.figures["arguments"].split()[-1] in arguments
    assert "commandline" not in analyse(xml).template


@pytest.mark.parametrize(
    ("device", "source"),
    [
        ("<serial type='file'><source path='/var/log/x'/><target port='0'/></serial>", "/var/log/x"),
        (
            "<serial type='tcp'><source mode='bind' host='0.0.0.0' service='5555'/><protocol type='telnet'/></serial>",
            "5",
        ),
        ("<console type='spiceport'><source channel='org.x'/><target type='serial'/></console>", "org.x"),
        ("<parallel type='dev'><source path='/dev/parport0'/><target port='0'/></parallel>", "/dev/parport0"),
    ],
)
def test_a_port_stays_without_its_end_on_the_host(device: str, source: str) -> None:
    (tag,) = [child.tag for child in ET.fromstring(f"<a>{device}</a>")]
    (finding,) = [f for f in analyse(domain(device)).findings if f.element == tag]
    assert (finding.verdict, finding.text.kind) == ("fitted", "hardware.port")
    assert source in finding.text.figures["other_end"]
    port = template(domain(device)).find(f"./devices/{tag}")
    assert port is not None and port.get("type") == "pty"
    assert port.find("source") is None and port.find("protocol") is None


def test_the_guest_agents_channel_loses_its_fixed_path_alone() -> None:
    agent = "<target type='virtio' name='org.qemu.guest_agent.0'/>"
    fixed = f"<channel type='unix'><source mode='bind' path='/tmp/agent.sock'/>{agent}</channel>"
    assert ("fitted", "channel", "channel") in told(domain(fixed))
    channel = template(domain(fixed)).find("./devices/channel")
    assert channel is not None and channel.get("type") == "unix" and channel.find("source") is None
    assert ("kept", "channel", "as_is") in told(domain(f"<channel type='unix'>{agent}</channel>"))


def test_a_second_audio_and_the_sound_bound_to_it_leave_no_dangling_number() -> None:
    devices = (
        "<sound model='ich9'><audio id='2'/></sound><audio id='1' type='spice'/>"
        "<audio id='2' type='pulseaudio' serverName='/run/user/1000/pulse'/>"
    )
    assert {("fitted", "audio", "audio"), ("fitted", "sound/audio", "sound_output")} <= told(domain(devices))
    root = template(domain(devices))
    assert root.findall(".//audio") == [] and root.find("./devices/sound") is not None


def test_qxl_becomes_a_standard_screen_and_a_second_one_goes() -> None:
    qxl = "<video><model type='qxl' ram='65536' vram='65536' vgamem='16384' heads='1' primary='yes'/></video>"
    second = "<video><model type='qxl' ram='65536'/></video>"
    assert {("fitted", "video", "video_qxl"), ("dropped", "video", "video_second")} <= told(domain(qxl + second))
    models = template(domain(qxl + second)).findall("./devices/video/model")
    assert [model.attrib for model in models] == [{"type": "vga", "primary": "yes"}]


def test_a_screen_loses_its_3d_and_stays() -> None:
    video = "<video><model type='virtio' heads='1' blob='on'><acceleration accel3d='yes'/></model></video>"
    assert ("fitted", "video/model", "video_3d") in told(domain(video))
    model = template(domain(video)).find("./devices/video/model")
    assert model is not None and model.attrib == {"type": "virtio", "heads": "1"} and len(model) == 0


def test_a_fixed_context_id_becomes_a_free_one() -> None:
    vsock = "<vsock model='virtio'><cid auto='no' address='42'/></vsock>"
    assert ("fitted", "vsock", "vsock") in told(domain(vsock))
    cid = template(domain(vsock)).find("./devices/vsock/cid")
    assert cid is not None and cid.attrib == {"auto": "yes"}


@pytest.mark.parametrize(
    ("disk", "kind", "remedy"),
    [
        ("<disk type='file' device='disk'><driver type='raw'/><source file='/i/a b,c.img'><encryption format='luks'/>"
         "</source><target dev='vdb'/></disk>", "encrypted",
         "qemu-img convert --object secret,id=s,file=PASSPHRASE-FILE --image-opts "
         "'driver=luks,key-secret=s,file.filename=/i/a b,,c.img' -O qcow2 '/i/a b,c.img.qcow2'"),
        ("<disk type='file' device='disk'><driver type='qcow2'/><encryption format='qcow'/><source file='/i/o'/>"
         "<target dev='vdb'/></disk>", "encrypted",
         "qemu-img convert --object secret,id=s,file=PASSPHRASE-FILE --image-opts "
         "driver=qcow2,encrypt.key-secret=s,file.filename=/i/o -O qcow2 /i/o.qcow2"),
        ("<disk type='block' device='disk'><source dev='/dev/vg/win'/><target dev='vdb'/></disk>", "disk_on_device",
         "qemu-img convert -f raw -O qcow2 /dev/vg/win /var/lib/libvirt/images/win.qcow2"),
        ("<disk type='block' device='lun'><source dev='/dev/sdx'/><target dev='vdb'/></disk>", "disk_on_device",
         "qemu-img convert -f raw -O qcow2 /dev/sdx /var/lib/libvirt/images/sdx.qcow2"),
        ("<disk type='file' device='disk'><source file='/dev/mapper/win'/><target dev='vdb'/></disk>", "disk_on_device",
         "qemu-img convert -f raw -O qcow2 /dev/mapper/win /var/lib/libvirt/images/win.qcow2"),
        ("<disk type='block' device='disk'><driver type='raw'/><source dev='/dev/vg/x'><encryption format='luks'/>"
         "</source><target dev='vdb'/></disk>", "encrypted",
         "qemu-img convert --object secret,id=s,file=PASSPHRASE-FILE --image-opts "
         "driver=luks,key-secret=s,file.filename=/dev/vg/x -O qcow2 /var/lib/libvirt/images/x.qcow2"),
        ("<disk type='network' device='disk'><source protocol='rbd' name='p/i'><host name='h'/></source>"
         "<target dev='vdb'/></disk>", "disk_on_network",
         "qemu-img convert -f raw -O qcow2 rbd:p/i /var/lib/libvirt/images/i.qcow2"),
        ("<disk type='network'><source protocol='nbd' name='x'><host name='h' port='9'/></source>"
         "<target dev='vdb'/></disk>", "disk_on_network",
         "qemu-img convert -f raw -O qcow2 nbd://h:9/x /var/lib/libvirt/images/x.qcow2"),
        ("<disk type='volume' device='disk'><source pool='p $q' volume='v'/><target dev='vdb'/></disk>",
         "disk_no_volume", "virsh pool-start 'p $q'"),
    ],
)  # fmt: skip
def test_a_disk_that_cannot_be_copied_is_refused_with_the_command(disk: str, kind: str, remedy: str) -> None:
    (refused,) = analyse(domain(disk)).refused
    assert (refused.element, refused.text.kind, refused.remedy) == ("disk vdb", f"hardware.{kind}", remedy)


def test_a_medium_is_taken_out_whatever_it_was_on() -> None:
    drives = (
        "<disk type='block' device='cdrom'><source dev='/dev/sr0'/><target dev='sda' bus='sata'/></disk>"
        "<disk type='network' device='cdrom'><source protocol='https' name='a.iso'><host name='h'/></source>"
        "<target dev='sdb' bus='sata'/></disk>"
    )
    assert {("fitted", "disk sda", "medium"), ("fitted", "disk sdb", "medium")} <= told(domain(drives))
    left = template(domain(drives)).findall("./devices/disk[@device='cdrom']")
    assert [(drive.get("type"), drive.find("source")) for drive in left] == [("file", None)] * 2


def test_what_boots_from_files_of_the_host_is_refused() -> None:
    refused = analyse(domain(os="<kernel>/srv/vmlinuz</kernel><initrd>/srv/initrd</initrd>")).refused
    assert [(f.element, f.text.figures["path"], f.remedy) for f in refused] == [
        ("os/kernel", "/srv/vmlinuz", "virsh edit original")
    ]


NEEDS = [
    ("<interface type='network'><source network='lab'/></interface>", {Need("network", "lab")}),
    ("<interface type='bridge'><source bridge='br0'/></interface>", {Need("bridge", "br0")}),
    ("<interface type='direct'><source dev='eno1' mode='bridge'/></interface>", {Need("interface", "eno1")}),
    ("<interface type='user'><model type='virtio'/></interface>", set[Need]()),
    ("<interface type='bridge'><source bridge='b'/><filterref filter='mine'/></interface>",
     {Need("bridge", "b"), Need("nwfilter", "mine")}),
    ("<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>", {Need("tpm", "2.0")}),
    ("<tpm model='tpm-tis'><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm>",
     {Need("tpm", "2.0")}),
]  # fmt: skip


@pytest.mark.parametrize(("device", "needs"), NEEDS)
def test_a_device_says_what_it_needs_of_a_node(device: str, needs: set[Need]) -> None:
    assert set(analyse(domain(device)).needs) == PLAIN | needs


@pytest.mark.parametrize(
    ("part", "needs"),
    [
        ("<features><hyperv mode='custom'><relaxed state='on'/><vapic state='off'/></hyperv></features>",
         {Need("kvm", "yes"), Need("hyperv", "relaxed")}),
        ("<features><hyperv mode='passthrough'/></features>", {Need("kvm", "yes")}),
        ("<clock offset='localtime'><timer name='hypervclock' present='yes'/></clock>", {Need("kvm", "yes")}),
        ("<clock offset='localtime'><timer name='hypervclock' present='no'/></clock>", set[Need]()),
        ("<cpu mode='custom'><model>Skylake-Client</model><feature policy='require' name='vmx'/></cpu>",
         {Need("cpu_model", "Skylake-Client"), Need("cpu_feature", "vmx")}),
        ("<cpu mode='custom'><model>Skylake-Client</model><feature policy='require' name='vmx'/>"
         "<feature policy='disable' name='hle'/></cpu>",
         {Need("cpu_feature", "vmx")}),
        ("<cpu mode='host-passthrough'/>", set[Need]()),
        ("<cpu mode='custom' check='none'><model>qemu64</model></cpu>", set[Need]()),
    ],
)  # fmt: skip
def test_the_machine_says_what_it_needs_of_a_node(part: str, needs: set[Need]) -> None:
    assert set(analyse(domain(machine=part)).needs) == PLAIN | needs


@pytest.mark.parametrize(
    ("xml", "needs"),
    [
        (domain(os="<loader readonly='yes' type='pflash'>/c.fd</loader>"), {Need("firmware", "/c.fd")}),
        (domain(os="<loader readonly='yes' secure='yes' type='pflash'>/c.fd</loader>"),
         {Need("firmware", "/c.fd"), Need("secure_boot", "yes")}),
        (domain().replace("<os>", "<os firmware='efi'>"), {Need("firmware", "efi")}),
        (domain(os="<firmware><feature enabled='yes' name='secure-boot'/></firmware>")
         .replace("<os>", "<os firmware='efi'>"), {Need("firmware", "efi"), Need("secure_boot", "yes")}),
        (domain(os="<loader>/usr/share/seabios/bios.bin</loader>"), set[Need]()),
        (domain(os="<loader>/usr/share/ovmf/OVMF.fd</loader>"), {Need("firmware", "/usr/share/ovmf/OVMF.fd")}),
        (domain(os="<loader type='rom'> /opt/own.fd </loader>"), {Need("firmware", "/opt/own.fd")}),
    ],
)  # fmt: skip
def test_firmware_is_needed_by_what_boots_with_it(xml: str, needs: set[Need]) -> None:
    assert set(analyse(xml).needs) == PLAIN | needs


def test_a_firmware_file_that_keeps_one_machines_settings_is_refused_and_any_other_stays() -> None:
    loader = "<loader type='pflash' readonly='{}'>/var/lib/own.fd</loader>"
    (found,) = analyse(domain(os=loader.format("no"))).refused
    assert (found.text.kind, found.text.figures) == ("hardware.firmware_writable", {"path": "/var/lib/own.fd"})
    assert analyse(domain(os=loader.format("yes"))).refused == ()
    assert (
        "<loader>/usr/share/ovmf/OVMF.fd</loader>"
        in analyse(domain(os="<loader>/usr/share/ovmf/OVMF.fd</loader>")).template
    )


@pytest.mark.parametrize(
    ("machine", "family"),
    [("q35", "q35"), ("pc-q35-7.2", "q35"), ("pc-q35-rhel9.2.0", "q35"), ("pc-i440fx-10.0", "pc"), ("pc", "pc"),
     ("virt-8.0", "virt"), ("isapc", "isapc"), ("s390-ccw-virtio-7.2", "s390-ccw-virtio")],
)  # fmt: skip
def test_a_machine_type_is_of_a_family(machine: str, family: str) -> None:
    assert machine_family(machine) == family


def test_what_no_rule_knows_is_said_too() -> None:
    strange = domain("<teleporter mode='safe'/><wormhole><source dev='/dev/hole'/></wormhole>", "<gravity/>")
    assert {
        ("kept", "teleporter", "unknown"),
        ("dropped", "wormhole", "unknown_of_host"),
        ("kept", "gravity", "unknown"),
    } <= told(strange)
    assert "/dev/hole" not in analyse(strange).template


def test_every_element_of_a_domain_has_a_finding() -> None:
    parts = "<numatune/><gravity/><features><acpi/></features><clock offset='utc'/><on_crash>destroy</on_crash>"
    xml = domain("<video><model type='vga'/></video><memballoon model='virtio'/><teleporter/>", parts)
    elements = {finding.element.split("/")[0].split(" ")[0] for finding in analyse(xml).findings}
    root = parse(xml)
    assert elements == {"domain"} | {part.tag for part in (*root, *root.findall("./devices/*"))} - {"devices"}


def test_the_rules_applied_again_change_nothing_and_need_the_same() -> None:
    everything = domain(
        "".join(row[0] for row in (*SPICE, *HOSTS_OWN, *NEEDS)),
        "<memoryBacking><hugepages/></memoryBacking><cpu mode='host-model'/>",
        "<loader type='pflash'>/c.fd</loader>",
    )
    once = analyse(everything)
    again = analyse(once.template)
    assert (again.template, again.needs) == (once.template, once.needs)
    assert not any(finding.verdict in ("refused", "dropped") for finding in again.findings)


def test_alike_findings_are_one_with_their_count_and_the_refused_come_first() -> None:
    analysis = analyse(domain("<redirdev bus='usb' type='spicevmc'/>" * 2 + SPICE[0][0]))
    assert [f.count for f in analysis.findings if f.element == "redirdev"] == [2]
    order = [finding.verdict for finding in analysis.findings]
    assert order == sorted(order, key=["refused", "dropped", "fitted", "kept"].index)


def test_a_finding_survives_its_row() -> None:
    for finding in analyse(domain(SPICE[0][0])).findings:
        assert Finding.from_dict(finding.to_dict()) == finding


@pytest.mark.parametrize(
    "xml",
    [
        "<domain>" + "<a>" * MOST_DEPTH + "</a>" * MOST_DEPTH + "</domain>",
        "<domain>" + "<a/>" * MOST_ELEMENTS + "</domain>",
        "<domain><name>" + "x" * (1 << 20) + "</name></domain>",
        "<!DOCTYPE d [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><domain><name>&e;</name></domain>",
        "<domain><name>unclosed",
        "<network/>",
        "<domain><name>no devices</name></domain>",
    ],
)
def test_what_is_no_domain_or_beyond_its_bounds_is_an_error_in_words(xml: str) -> None:
    with pytest.raises(HypervisorError):
        analyse(xml)


def test_hostile_words_are_figures_and_bounded() -> None:
    hostile = f"<filesystem><source dir='&lt;script&gt;&#x202e;{'x' * 900}'/><target dir='%(name)s'/></filesystem>"
    (finding,) = [f for f in analyse(domain(hostile)).findings if f.element == "filesystem"]
    assert len(finding.text.figures["path"]) <= 200 and "\u202e" not in str(finding.text)
    assert "%(name)s" in str(finding.text)
