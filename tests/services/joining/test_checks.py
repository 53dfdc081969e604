"""What is found out about a host, line by line: passing, warned of, failing; each failure with its remedy."""

import json
import shlex
from dataclasses import replace

import pytest

from ravada_web.hypervisor.facts import PoolFacts
from ravada_web.messages import NOTHING, text
from ravada_web.models import Access
from ravada_web.needs import Need
from ravada_web.remote.cards import Nic
from ravada_web.remote.libvirt_daemon import LibvirtDaemon
from ravada_web.remote.offers import HostOffers
from ravada_web.remote.sampling import Sample
from ravada_web.remote.survey import PROGRAMS, Survey
from ravada_web.services.joining.checks import host, libvirt
from ravada_web.services.joining.checks.findings import Finding, Needs, Peer, Seen
from ravada_web.services.joining.checks.run import findings
from tests.support.factories import FACTS

LIBVIRTD, VIRTQEMUD, PROXY = frozenset({"libvirtd"}), frozenset({"virtqemud"}), frozenset({"virtproxyd"})
WELL = LibvirtDaemon(LIBVIRTD, LIBVIRTD, LIBVIRTD, systemd=True, listening=True, answers=True)
DEBIAN = Survey(
    distribution="debian",
    kin=frozenset({"debian"}),
    pretty_name="Debian GNU/Linux 12",
    machine_id="a" * 32,
    arch="x86_64",
    programs=frozenset(PROGRAMS),
    other_programs=frozenset(),
    kvm=True,
    processor="Xeon 1",
    virtualisation=True,
    libvirt=WELL,
    forwards=True,
    selinux="",
    listeners=(),
    firewall="",
    closed=True,
    clock_ahead=0.1,
    seconds=0.1,
)
FEDORA = replace(DEBIAN, distribution="fedora", kin=frozenset({"fedora"}), pretty_name="Fedora Linux 41")
SEEN = Seen(
    name="n1",
    user="root",
    port=22,
    host_key="ssh-ed25519 AAAA",
    local=False,
    address="192.0.2.7",
    access=Access.ROOT,
    source="192.0.2.1",
    socket_open=True,
    sudo_said="",
    login_seconds=0.05,
    survey=DEBIAN,
    reachable=frozenset({22}),
    sample=Sample(0.1, 16_000, 8_000, {}, 0.0),
    host=HostOffers(("virbr0",), ("eth0", "virbr0"), ()),
    facts=FACTS,
    libvirt_error=NOTHING,
    libvirt_hangs=False,
    libvirt_seconds=0.01,
    peers=(),
    needs=Needs({}, {}, 1024, 1024),
)

KEY, UUID = SEEN.host_key, FACTS.host_uuid


def with_survey(**changes: object) -> Seen:
    return replace(SEEN, survey=replace(DEBIAN, **changes))  # type: ignore[arg-type]


def without(daemon: LibvirtDaemon, survey: Survey = DEBIAN, forwards: bool | None = True, **changes: object) -> Seen:
    """A host whose libvirt did not answer through the link."""
    seen = replace(survey, libvirt=daemon, forwards=forwards)
    return replace(SEEN, facts=None, survey=seen, libvirt_error=text("End of file"), **changes)  # type: ignore[arg-type]


def with_free(mib: int) -> Seen:
    return replace(SEEN, sample=replace(SEEN.sample, memory_available_mib=mib))


def with_card(wakes: str) -> Seen:
    """A host whose one card is a port of the bridge that leads to its address."""
    bridge = Nic("br0", "52:54:00:00:00:07", "cannot", addresses=("192.0.2.7/24",))
    card = Nic("eno1", "52:54:00:00:00:07", wakes, over="br0")
    return replace(SEEN, host=replace(SEEN.host, nics=(bridge, card)))


def with_need(kind: str, value: str, *bases: str, survey: Survey = DEBIAN) -> Seen:
    """A host that is asked for this by some base."""
    needs = {Need(kind, value): bases or ("win",)}  # type: ignore[arg-type]
    return replace(SEEN, survey=survey, needs=replace(SEEN.needs, of_bases=needs))


def sharing(key: str = "ssh-ed25519 BBBB", uuid: str = "uuid-2", machine: str = "b" * 32, master: bool = False) -> Seen:
    return replace(SEEN, peers=(Peer("n2", key, uuid, machine, "Xeon 1", is_master=master),))


def beside(processor: str) -> Seen:
    return replace(SEEN, peers=(Peer("n2", "ssh-ed25519 BBBB", "uuid-2", "b" * 32, processor, is_master=True),))


LINES = {
    "a swift login": (host.ssh, SEEN, "pass", "ssh", ""),
    "a slow login": (host.ssh, replace(SEEN, login_seconds=2.5), "warn", "ssh_slow", "UseDNS no"),
    "root": (host.access, SEEN, "pass", "access_root", ""),
    "sudo": (host.access, replace(SEEN, access=Access.SUDO, user="ops"), "pass", "access_sudo", ""),
    "libvirt alone": (
        host.access,
        replace(SEEN, access=Access.LIBVIRT, user="ops", sudo_said="sudo: a password is required"),
        "warn",
        "access_libvirt",
        "NOPASSWD",
    ),
    "libvirt alone, for want of a terminal": (
        host.access,
        replace(SEEN, access=Access.LIBVIRT, user="ops", sudo_said="sudo: sorry, you must have a tty to run sudo"),
        "warn",
        "access_libvirt",
        "!requiretty",
    ),
    "libvirt alone, for a reason of its own": (
        host.access,
        replace(SEEN, access=Access.LIBVIRT, user="ops", sudo_said="sudo: /etc/sudoers is owned by uid 33"),
        "warn",
        "access_libvirt",
        "",
    ),
    "a known distribution": (host.distribution, SEEN, "pass", "distribution", ""),
    "SELinux": (host.distribution, with_survey(selinux="Enforcing"), "pass", "distribution selinux", ""),
    "an unknown one": (
        host.distribution,
        with_survey(distribution="plan9", kin=frozenset()),
        "warn",
        "distribution_unknown",
        "",
    ),
    "KVM": (host.kvm, replace(SEEN, facts=replace(FACTS, virt_type="kvm")), "pass", "kvm", ""),
    "no module": (
        host.kvm,
        replace(SEEN, survey=replace(DEBIAN, kvm=False), facts=replace(FACTS, virt_type="qemu")),
        "warn",
        "kvm_no_module",
        "modprobe",
    ),
    "no virtualisation": (
        host.kvm,
        replace(SEEN, survey=replace(DEBIAN, kvm=False, virtualisation=False), facts=replace(FACTS, virt_type="qemu")),
        "warn",
        "kvm_missing",
        "",
    ),
    "all programs": (host.tools, SEEN, "pass", "tools", ""),
    "no setfacl on this server": (host.tools, replace(SEEN, local=True), "warn", "no_setfacl", "acl"),
    "no programs": (host.tools, with_survey(programs=frozenset()), "fail", "tools_missing", "apt-get install"),
    "busybox": (
        host.tools,
        with_survey(programs=frozenset(PROGRAMS) - {"find"}, other_programs=frozenset({"find"})),
        "fail",
        "tools_other",
        "findutils",
    ),
    "no programs on Fedora": (
        host.tools,
        replace(SEEN, survey=replace(FEDORA, programs=frozenset())),
        "fail",
        "tools_missing",
        "dnf install",
    ),
    "much memory": (host.memory, SEEN, "pass", "memory", ""),
    "little memory": (host.memory, with_free(2_000), "warn", "memory", ""),
    "no memory": (host.memory, with_free(1_024), "fail", "memory memory_full", ""),
    "the right time": (host.clock, with_survey(clock_ahead=-1.9), "pass", "clock", ""),
    "some seconds behind": (host.clock, with_survey(clock_ahead=-30.0), "warn", "clock_behind", "chrony"),
    "an hour ahead": (host.clock, with_survey(clock_ahead=3600.0), "fail", "clock_ahead", "chrony"),
    "a card that wakes it": (host.wake, with_card("ready"), "pass", "wake_ready", ""),
    "a card that is not set to": (host.wake, with_card("unset"), "warn", "wake_unset", "ethtool -s eno1 wol g && "),
    "a card that cannot": (host.wake, with_card("cannot"), "warn", "wake_cannot", ""),
    "no ethtool": (host.wake, with_card("unknown"), "warn", "wake_unknown", "apt-get update && "),
    "no card known": (host.wake, SEEN, "warn", "wake_no_card", ""),
    "itself alone": (host.twice, SEEN, "pass", "unique", ""),
    "beside another": (host.twice, sharing(), "pass", "unique", ""),
    "a node by another address": (host.twice, sharing(KEY, UUID, "a" * 32), "fail", "is_node", ""),
    "a node whose libvirt made a new UUID": (host.twice, sharing(KEY, "uuid-2", "a" * 32), "fail", "is_node", ""),
    "the master, which is reached without SSH": (
        host.twice,
        sharing("", UUID, "a" * 32, True),
        "fail",
        "is_master",
        "",
    ),
    "another board of the master's UUID": (
        host.twice,
        sharing("", UUID, master=True),
        "warn",
        "host_uuid_shared",
        "host_uuid",
    ),
    "two boards of one UUID": (host.twice, sharing(uuid=UUID), "warn", "host_uuid_shared", "host_uuid"),
    "a copy of a disk, with new host keys": (
        host.twice,
        sharing("ssh-ed25519 BBBB", UUID, "a" * 32),
        "warn",
        "machine_id_shared",
        "systemd-machine-id-setup",
    ),
    "a copy of a disk, with a new machine ID": (host.twice, sharing(KEY), "warn", "host_key_shared", "ssh-keygen -A"),
    "quick libvirt": (libvirt.libvirt, SEEN, "pass", "libvirt", ""),
    "slow libvirt": (libvirt.libvirt, replace(SEEN, libvirt_seconds=2.5), "warn", "libvirt", ""),
    "no libvirt": (libvirt.libvirt, without(LibvirtDaemon(systemd=True)), "fail", "libvirt_missing", "apt-get install"),
    "no libvirt on Fedora": (
        libvirt.libvirt,
        without(LibvirtDaemon(systemd=True), FEDORA),
        "fail",
        "libvirt_missing",
        "virtproxyd.socket",
    ),
    "libvirtd stopped": (
        libvirt.libvirt,
        without(LibvirtDaemon(LIBVIRTD, systemd=True)),
        "fail",
        "libvirt_stopped",
        "systemctl enable --now libvirtd",
    ),
    "libvirtd without its socket": (
        libvirt.libvirt,
        without(replace(WELL, listening=False)),
        "fail",
        "libvirt_no_socket",
        "restart libvirtd.socket",
    ),
    "virtqemud alone": (
        libvirt.libvirt,
        without(LibvirtDaemon(LIBVIRTD | VIRTQEMUD, VIRTQEMUD, systemd=True)),
        "fail",
        "libvirt_modular",
        "virtproxyd.socket",
    ),
    "virtqemud alone, on a host without systemd": (
        libvirt.libvirt,
        without(LibvirtDaemon(LIBVIRTD | VIRTQEMUD | PROXY, VIRTQEMUD)),
        "fail",
        "libvirt_modular",
        "virtproxyd -d",
    ),
    "a socket for its group alone": (
        libvirt.libvirt,
        without(WELL, access=Access.SUDO, socket_open=False, user="ops"),
        "fail",
        "libvirt_closed",
        "usermod -aG libvirt ops",
    ),
    "a libvirtd that hangs": (
        libvirt.libvirt,
        without(replace(WELL, answers=False), libvirt_hangs=True),
        "fail",
        "libvirt_hangs",
        "restart",
    ),
    "a libvirtd that refuses": (
        libvirt.libvirt,
        without(replace(WELL, answers=False, said="no polkit agent")),
        "fail",
        "libvirt_silent",
        "",
    ),
    "an sshd that does not forward": (
        libvirt.libvirt,
        without(WELL, forwards=False),
        "fail",
        "libvirt_no_forwarding",
        "DisableForwarding no",
    ),
    "a key that does not forward": (libvirt.libvirt, without(WELL), "fail", "libvirt_not_reached", ""),
    "a like processor": (libvirt.processor, beside("Xeon 1"), "pass", "processor_same", ""),
    "an unlike processor": (libvirt.processor, beside("EPYC 2"), "warn", "processor_differs", ""),
}


@pytest.mark.parametrize("case", LINES)
def test_each_line_says_what_was_found_and_how_to_fix_it(case: str) -> None:
    check, seen, state, kinds, remedy = LINES[case]
    found = check(seen)
    assert found is not None
    said = found.text.figures["items"] if found.text.kind == "sentences" else [found.text]
    assert (found.state, [part.kind for part in said]) == (state, [f"joining.{kind}" for kind in kinds.split()])
    assert remedy in found.remedy
    assert found.state != "pass" or found.remedy == ""


@pytest.mark.parametrize("case", [name for name, line in LINES.items() if line[0] is libvirt.libvirt])
def test_a_second_libvirt_is_never_started_beside_one_that_runs(case: str) -> None:
    _check, seen, *_rest = LINES[case]
    found, running = libvirt.libvirt(seen), seen.survey.libvirt.running
    if running >= VIRTQEMUD:
        assert "libvirtd" not in found.remedy
    elif running >= LIBVIRTD:
        assert "virtqemud" not in found.remedy and "libvirtd -d" not in found.remedy


def test_a_finding_is_kept_as_its_kind_and_figures() -> None:
    full = host.memory(with_free(1_024))
    kept = Finding.from_dict(json.loads(json.dumps(full.to_dict())))
    assert kept == full
    assert kept.text.figures["items"][0].figures["free_mib"] == 1_024


def test_a_finding_of_before_keeps_its_sentence() -> None:
    kept = {"code": "kvm", "state": "pass", "text": "KVM is usable.", "remedy": "", "applied": True}
    assert str(Finding.from_dict(kept).text) == "KVM is usable."


def test_a_host_that_has_what_bases_need_says_so_in_one_line() -> None:
    assert [line.state for line in libvirt.needs(with_need("bridge", "virbr0"))] == ["pass"]
    assert [line.state for line in libvirt.needs(SEEN)] == ["pass"]


@pytest.mark.parametrize(
    ("kind", "value", "said", "remedy"),
    [
        ("bridge", "br-lan", "needs the bridge br-lan. Create the bridge", ""),
        ("interface", "eno1", "needs the network card eno1.", ""),
        ("machine", "microvm", "needs the machine type microvm.", ""),
        ("firmware", "/opt/code.fd", "needs the firmware /opt/code.fd.", "edk2-ovmf"),
        ("secure_boot", "yes", "needs UEFI firmware with Secure Boot.", "edk2-ovmf"),
        ("tpm", "2.0", "needs an emulated TPM 2.0.", "swtpm swtpm-tools"),
    ],
)
def test_each_thing_that_bases_lack_is_a_line_with_its_bases_and_its_remedy(
    kind: str, value: str, said: str, remedy: str
) -> None:
    (line,) = libvirt.needs(with_need(kind, value, "win", "lin", survey=FEDORA))
    assert str(line.text).startswith(f"It cannot run win and lin: {said}")
    assert line.state == "warn", "the node is well, and takes the clones of other bases"
    assert remedy in line.remedy and bool(line.remedy) == bool(remedy)


def test_a_network_that_bases_need_keeps_its_own_line() -> None:
    seen = with_need("network", "lab")
    assert [line.state for line in libvirt.needs(seen)] == ["pass"]
    (line,) = libvirt.networks(seen)
    assert (line.state, line.code) == ("fail", "network:lab")


def test_the_name_of_a_pool_is_one_word_of_a_command() -> None:
    name = "images; reboot"
    here = replace(FACTS, pools=(PoolFacts(name, "/here", True, 1, 1),))
    seen = replace(SEEN, facts=here, needs=replace(SEEN.needs, pools={name: "/there"}))
    (finding,) = libvirt.pools(seen)
    assert shlex.split(finding.remedy)[:3] == ["virsh", "pool-destroy", f"{name};"]


def test_on_this_very_host_no_remedy_is_run_by_the_product() -> None:
    lacking = with_survey(programs=frozenset(PROGRAMS) - {"qemu-img"})
    there, here = findings(lacking), findings(replace(lacking, local=True))
    assert any(each.remedy and each.applied for each in there)
    assert any(each.remedy for each in here) and not any(each.applied for each in here)


def test_a_host_without_libvirt_is_told_of_its_pool_and_network_and_one_fix_brings_all() -> None:
    bare = without(LibvirtDaemon(systemd=True))
    found = [libvirt.libvirt(bare), *libvirt.pools(bare), *libvirt.networks(bare)]
    assert [(line.code, line.state, line.applied) for line in found] == [
        ("libvirt", "fail", True),
        ("pool:default", "fail", True),
        ("network:default", "fail", True),
    ]
    assert all(line.remedy for line in found), "in this order they are run"
    assert not libvirt.needs(bare), "what it will offer is not known"


UNKNOWN = replace(DEBIAN, distribution="plan9", kin=frozenset())


@pytest.mark.parametrize(
    ("daemon", "survey"),
    [(LibvirtDaemon(LIBVIRTD, systemd=True), DEBIAN), (WELL, DEBIAN), (LibvirtDaemon(systemd=True), UNKNOWN)],
)
def test_of_a_libvirt_that_does_not_answer_it_is_said_that_pool_and_network_are_not_known(
    daemon: LibvirtDaemon, survey: Survey
) -> None:
    silent = without(daemon, survey)
    found = [*libvirt.pools(silent), *libvirt.networks(silent)]
    kinds = [(line.code, line.state, line.text.kind) for line in found]
    assert kinds == [
        ("pool:default", "warn", "joining.pool_unknown"),
        ("network:default", "warn", "joining.network_unknown"),
    ]
    assert not any(line.remedy for line in found)
