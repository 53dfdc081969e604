"""The checks of the host itself: access, distribution, virtualisation, programs, memory, clock, and whose it is."""

from ravada_web.messages import NOTHING, message, sentences
from ravada_web.models import Access
from ravada_web.remote.login import sudo_command
from ravada_web.remote.survey import PROGRAMS
from ravada_web.services.joining.checks import commands
from ravada_web.services.joining.checks.findings import Finding, Seen, State

# A login that takes longer than this makes every action there feel slow.
SLOW_LOGIN_SECONDS = 1.0
SWIFT_LOGIN = (
    "echo 'UseDNS no' > /etc/ssh/sshd_config.d/ravada.conf && { systemctl reload ssh || systemctl reload sshd; }"
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
    return Finding("access", "warn", reduced, sudo_command(seen.user), applied=False)


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
    missing = [name for name in needed if name not in seen.survey.programs]
    if not missing:
        return Finding("tools", "pass", message("joining.tools"))
    install = commands.install(seen.survey, "tools")
    return Finding("tools", "fail", message("joining.tools_missing", names=missing), install)


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


def twice(seen: Seen) -> Finding:
    """It must not be a node already, by another address, nor the master."""
    uuid = seen.facts.host_uuid if seen.facts else ""
    for peer in seen.peers:
        if (uuid and peer.host_uuid == uuid) or (seen.survey.machine_id and peer.machine_id == seen.survey.machine_id):
            if peer.is_master:
                same = message("joining.is_master", node=peer.name)
            else:
                same = message("joining.is_node", node=peer.name)
            remedy = "rm -f /etc/machine-id && systemd-machine-id-setup"
            return Finding("twice", "fail", same, remedy, applied=False)
    return Finding("twice", "pass", message("joining.unique"))
