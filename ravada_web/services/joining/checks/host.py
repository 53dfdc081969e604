"""The checks of the host itself: access, distribution, virtualisation, programs, memory, clock, and whose it is."""

from dataclasses import dataclass

from ravada_web.messages import NOTHING, Message, message, sentences
from ravada_web.models import Access
from ravada_web.remote import cards
from ravada_web.remote.login import sudo_remedy
from ravada_web.remote.survey import PROGRAMS
from ravada_web.services.joining.checks import commands
from ravada_web.services.joining.checks.findings import Finding, Peer, Seen, State

# A login that takes longer than this makes every action there feel slow.
SLOW_LOGIN_SECONDS = 1.0
SWIFT_LOGIN = (
    "echo 'UseDNS no' > /etc/ssh/sshd_config.d/ravada.conf && { systemctl reload ssh || systemctl reload sshd; }"
)
NEW_HOST_KEYS = (
    "rm -f /etc/ssh/ssh_host_*_key* && ssh-keygen -A && { systemctl restart ssh || systemctl restart sshd; }"
)
NEW_MACHINE_ID = "rm -f /etc/machine-id && systemd-machine-id-setup"
NEW_HOST_UUID = (
    'echo "host_uuid = \\"$(cat /proc/sys/kernel/random/uuid)\\"" >> /etc/libvirt/libvirtd.conf && '
    "systemctl restart libvirtd"
)
# Certificates, time-limited passwords and logs that are compared do not bear more.
CLOCK_WARN_SECONDS, CLOCK_FAIL_SECONDS = 2.0, 60.0
MOST_MEMORY_FOR_WARNING_MIB = 2048


def ssh(seen: Seen) -> Finding:
    """SSH answers, and how quickly."""
    if seen.local:
        return Finding("ssh", "pass", message("joining.ssh_local"))
    took = seen.login_seconds * 1000
    if seen.login_seconds > SLOW_LOGIN_SECONDS:
        return Finding("ssh", "warn", message("joining.ssh_slow", login_ms=took), SWIFT_LOGIN)
    return Finding("ssh", "pass", message("joining.ssh", login_ms=took))


def access(seen: Seen) -> Finding:
    """What our login may do there."""
    if seen.access == Access.ROOT:
        return Finding("access", "pass", message("joining.access_root"))
    if seen.access == Access.SUDO:
        return Finding("access", "pass", message("joining.access_sudo", user=seen.user))
    reduced = message("joining.access_libvirt", user=seen.user)
    return Finding("access", "warn", reduced, sudo_remedy(seen.user, seen.sudo_said), applied=False)


def distribution(seen: Seen) -> Finding:
    """Whether its packages are known here."""
    name = seen.survey.pretty_name or seen.survey.distribution
    if commands.family(seen.survey):
        system = message("joining.distribution", name=name, arch=seen.survey.arch)
        hardened = message("joining.selinux", state=seen.survey.selinux.lower()) if seen.survey.selinux else NOTHING
        return Finding("distribution", "pass", sentences(system, hardened))
    unknown = message("joining.distribution_unknown", name=name) if name else message("joining.distribution_unnamed")
    return Finding("distribution", "warn", unknown)


def kvm(seen: Seen) -> Finding:
    """Whether guests run by hardware, or are emulated."""
    if seen.facts is not None and seen.facts.virt_type == "kvm":
        return Finding("kvm", "pass", message("joining.kvm"))
    if seen.survey.virtualisation and not seen.survey.kvm:
        return Finding("kvm", "warn", message("joining.kvm_no_module"), "modprobe kvm_intel || modprobe kvm_amd")
    return Finding("kvm", "warn", message("joining.kvm_missing"))


def tools(seen: Seen) -> Finding:
    """The programs that copies and clones are made with."""
    needed = (*PROGRAMS, "setfacl") if seen.access == Access.SUDO else PROGRAMS
    other = [name for name in needed if name in seen.survey.other_programs]
    missing = [name for name in needed if name not in seen.survey.programs and name not in other]
    if not missing and not other:
        if seen.local and "setfacl" not in seen.survey.programs:
            return Finding("tools", "warn", message("joining.no_setfacl"), commands.install(seen.survey, "tools"))
        return Finding("tools", "pass", message("joining.tools"))
    lacks = message("joining.tools_missing", names=missing) if missing else NOTHING
    unlike = message("joining.tools_other", names=other) if other else NOTHING
    return Finding("tools", "fail", sentences(lacks, unlike), commands.install(seen.survey, "tools"))


def memory(seen: Seen) -> Finding:
    """Memory that is free for guests."""
    free, total = seen.sample.memory_available_mib, seen.sample.memory_total_mib
    reserved = seen.needs.memory_reserve_mib
    figures = message("joining.memory", free_mib=free, total_mib=total, reserved_mib=reserved)
    if free <= reserved:
        return Finding("memory", "fail", sentences(figures, message("joining.memory_full")))
    return Finding("memory", "pass" if free - reserved >= MOST_MEMORY_FOR_WARNING_MIB else "warn", figures)


def clock(seen: Seen) -> Finding:
    """The difference of the clocks."""
    ahead = seen.survey.clock_ahead
    off = abs(ahead)
    if off < CLOCK_WARN_SECONDS:
        return Finding("clock", "pass", message("joining.clock"))
    wrong = message(f"joining.clock_{'ahead' if ahead > 0 else 'behind'}", off_seconds=off)
    state: State = "fail" if off >= CLOCK_FAIL_SECONDS else "warn"
    return Finding("clock", state, wrong, commands.set_clock(seen.survey))


def wake(seen: Seen) -> Finding:
    """Whether a packet can wake the host once it is off."""
    nic = cards.waking(seen.host.nics, seen.address)
    if nic is None:
        return Finding("wake", "warn", message("joining.wake_no_card"))
    said = message(f"joining.wake_{nic.wakes}", card=nic.name, mac=nic.mac)
    remedy = {
        cards.UNSET: commands.wake_by_packet(nic.name, nic.mac),
        cards.UNKNOWN: commands.install(seen.survey, "wake"),
    }
    return Finding("wake", "pass" if nic.wakes == cards.READY else "warn", said, remedy.get(nic.wakes, ""))


@dataclass(frozen=True)
class _Sign:
    """One of what tells machines apart: the host's own, a peer's, what is said where they are the same, and the command
    that gives the host another one."""

    own: str
    others: str
    shared: Message
    remedy: str

    @property
    def agrees(self) -> bool | None:
        """Whether the two are the same; None where one of them is not known."""
        return self.own == self.others if self.own and self.others else None


def twice(seen: Seen) -> Finding:
    """It must not be a node already, by another address, nor the master; and what it shares with another is said."""
    for peer in seen.peers:
        if _same_machine(*_signs(seen, peer)):
            kind = "former" if peer.is_former else "master" if peer.is_master else "node"
            return Finding("twice", "fail", message(f"joining.is_{kind}", node=peer.name))
    nodes = [peer for peer in seen.peers if not peer.is_former]
    shared = [sign for peer in nodes for sign in _signs(seen, peer) if sign.agrees]
    if shared:
        return Finding("twice", "warn", shared[0].shared, shared[0].remedy, applied=False)
    return Finding("twice", "pass", message("joining.unique"))


def _same_machine(host_key: _Sign, machine_id: _Sign, host_uuid: _Sign) -> bool:
    """Whether the host is that node: by the host key, the strong sign; a machine ID is copied along with a disk, and a
    host UUID is some boards' all alike, so each of them counts only where no stronger one speaks against it."""
    if host_key.agrees is False or machine_id.agrees is False:
        return False
    if host_key.agrees:
        return True
    return host_uuid.agrees is not False if machine_id.agrees else host_uuid.agrees is True


def _signs(seen: Seen, peer: Peer) -> tuple[_Sign, _Sign, _Sign]:
    """The host key, the machine ID and the host UUID, beside a peer's."""
    host_uuid = seen.facts.host_uuid if seen.facts else ""
    key_shared = message("joining.host_key_shared", node=peer.name)
    id_shared = message("joining.machine_id_shared", node=peer.name)
    uuid_shared = message("joining.host_uuid_shared", node=peer.name)
    return (
        _Sign(seen.host_key, peer.host_key, key_shared, NEW_HOST_KEYS),
        _Sign(seen.survey.machine_id, peer.machine_id, id_shared, NEW_MACHINE_ID),
        _Sign(host_uuid, peer.host_uuid, uuid_shared, NEW_HOST_UUID),
    )
