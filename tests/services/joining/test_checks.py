"""What is found out about a host, line by line: passing, warned of, failing; each failure with its remedy."""

from dataclasses import replace

import pytest

from ravada_web.models import Access
from ravada_web.remote.sampling import Sample
from ravada_web.remote.survey import PROGRAMS, Survey
from ravada_web.services.joining.checks import host, libvirt
from ravada_web.services.joining.checks.findings import Needs, Peer, Seen
from tests.support.factories import FACTS

DEBIAN = Survey(
    distribution="debian",
    kin=frozenset({"debian"}),
    pretty_name="Debian GNU/Linux 12",
    machine_id="a" * 32,
    arch="x86_64",
    programs=frozenset(PROGRAMS),
    kvm=True,
    processor="Xeon 1",
    virtualisation=True,
    libvirt_installed=True,
    libvirt_socket=True,
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
    local=False,
    access=Access.ROOT,
    source="192.0.2.1",
    socket_open=True,
    login_seconds=0.05,
    survey=DEBIAN,
    sample=Sample(0.1, 16_000, 8_000, {}, 0.0),
    facts=FACTS,
    libvirt_error="",
    libvirt_seconds=0.01,
    peers=(),
    needs=Needs({}, {}, {}, {}, 1024, 1024),
)


def with_survey(**changes: object) -> Seen:
    return replace(SEEN, survey=replace(DEBIAN, **changes))  # type: ignore[arg-type]


def with_free(mib: int) -> Seen:
    return replace(SEEN, sample=replace(SEEN.sample, memory_available_mib=mib))


def with_needs(**changes: object) -> Seen:
    return replace(SEEN, needs=replace(SEEN.needs, **changes))  # type: ignore[arg-type]


def beside(processor: str) -> Seen:
    return replace(SEEN, peers=(Peer("n2", "uuid-2", "b" * 32, processor, is_master=True),))


LINES = {
    "a swift login": (host.ssh, SEEN, "pass", "50 ms", ""),
    "a slow login": (host.ssh, replace(SEEN, login_seconds=2.5), "warn", "2500 ms", "UseDNS no"),
    "root": (host.access, SEEN, "pass", "as root", ""),
    "sudo": (host.access, replace(SEEN, access=Access.SUDO, user="ops"), "pass", "ops, who acts as root", ""),
    "libvirt alone": (host.access, replace(SEEN, access=Access.LIBVIRT, user="ops"), "warn", "not act as root", "sudo"),
    "a known distribution": (host.distribution, SEEN, "pass", "Debian GNU/Linux 12", ""),
    "SELinux": (host.distribution, with_survey(selinux="Enforcing"), "pass", "enforcing", ""),
    "an unknown one": (host.distribution, with_survey(distribution="plan9", kin=frozenset()), "warn", "yours to", ""),
    "KVM": (host.kvm, replace(SEEN, facts=replace(FACTS, virt_type="kvm")), "pass", "usable", ""),
    "no module": (
        host.kvm,
        replace(SEEN, survey=replace(DEBIAN, kvm=False), facts=replace(FACTS, virt_type="qemu")),
        "warn",
        "/dev/kvm is not there",
        "modprobe",
    ),
    "no virtualisation": (
        host.kvm,
        replace(SEEN, survey=replace(DEBIAN, kvm=False, virtualisation=False), facts=replace(FACTS, virt_type="qemu")),
        "warn",
        "firmware",
        "",
    ),
    "all programs": (host.tools, SEEN, "pass", "are there", ""),
    "no programs": (host.tools, with_survey(programs=frozenset()), "fail", "qemu-img", "apt-get install"),
    "no programs on Fedora": (
        host.tools,
        replace(SEEN, survey=replace(FEDORA, programs=frozenset())),
        "fail",
        "qemu-img",
        "dnf install",
    ),
    "much memory": (host.memory, SEEN, "pass", "8,000 of 16,000 MiB", ""),
    "little memory": (host.memory, with_free(2_000), "warn", "2,000 of", ""),
    "no memory": (host.memory, with_free(1_024), "fail", "No guest fits", ""),
    "the right time": (host.clock, with_survey(clock_ahead=-1.9), "pass", "agrees", ""),
    "some seconds behind": (host.clock, with_survey(clock_ahead=-30.0), "warn", "30 s behind", "chrony"),
    "an hour ahead": (host.clock, with_survey(clock_ahead=3600.0), "fail", "3,600 s ahead of", "chrony"),
    "itself alone": (host.twice, SEEN, "pass", "No other node", ""),
    "quick libvirt": (libvirt.libvirt, SEEN, "pass", "answers in 10 ms", ""),
    "slow libvirt": (libvirt.libvirt, replace(SEEN, libvirt_seconds=2.5), "warn", "2500 ms", ""),
    "machine types": (libvirt.machines, SEEN, "pass", "All machine types", ""),
    "a machine type that it has not": (
        libvirt.machines,
        with_needs(machines={"pc-q35-99.0": "win"}),
        "warn",
        "no pc-q35-99.0 (win)",
        "",
    ),
    "no UEFI": (
        libvirt.machines,
        replace(with_needs(firmwares={"efi": "win"}), facts=replace(FACTS, firmwares=()), survey=FEDORA),
        "fail",
        "win boot by UEFI",
        "edk2-ovmf",
    ),
    "a like processor": (libvirt.processor, beside("Xeon 1"), "pass", "as the other nodes", ""),
    "an unlike processor": (libvirt.processor, beside("EPYC 2"), "warn", "others have EPYC 2", ""),
}


@pytest.mark.parametrize("case", LINES)
def test_each_line_says_what_was_found_and_how_to_mend_it(case: str) -> None:
    check, seen, state, text, remedy = LINES[case]
    found = check(seen)
    assert found is not None
    assert (found.state, text in found.text, remedy in found.remedy) == (state, True, True), found
    assert found.state != "pass" or found.remedy == ""
