"""The checks of the host itself: access, distribution, virtualisation, programs, memory, clock, and whose it is."""

from flask_babel import gettext as _

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
        return Finding("ssh", "pass", _("This is the host that the product runs on: no SSH is needed."))
    took = round(seen.login_seconds * 1000)
    if seen.login_seconds > SLOW_LOGIN_SECONDS:
        text = _("A login takes %(ms)s ms, which is slow. Often the host looks up our name in vain.", ms=took)
        return Finding("ssh", "warn", text, SWIFT_LOGIN)
    return Finding("ssh", "pass", _("A login takes %(ms)s ms.", ms=took))


def access(seen: Seen) -> Finding:
    """What our login may do there."""
    if seen.access == Access.ROOT:
        return Finding("access", "pass", _("We log in as root."))
    if seen.access == Access.SUDO:
        return Finding("access", "pass", _("We log in as %(user)s, who acts as root by sudo.", user=seen.user))
    text = _(
        "%(user)s may use libvirt, but not act as root. The node is watched, and its machines and pools are shown; it "
        "cannot be given bases or clones, nothing can be installed there, and its firewall cannot be read.",
        user=seen.user,
    )
    return Finding("access", "warn", text, sudo_command(seen.user), applied=False)


def distribution(seen: Seen) -> Finding:
    """Whether its packages are known here."""
    name = seen.survey.pretty_name or seen.survey.distribution or _("unnamed")
    if commands.family(seen.survey):
        hardened = _(" SELinux is %(state)s.", state=seen.survey.selinux.lower()) if seen.survey.selinux else ""
        return Finding("distribution", "pass", f"{name}, {seen.survey.arch}.{hardened}")
    text = _(
        "%(name)s is a distribution whose packages are not known here. What the other checks find missing is yours to "
        "install: libvirt, QEMU and qemu-img.",
        name=name,
    )
    return Finding("distribution", "warn", text)


def kvm(seen: Seen) -> Finding:
    """Whether guests run by hardware, or are emulated."""
    if seen.facts is not None and seen.facts.virt_type == "kvm":
        return Finding("kvm", "pass", _("KVM is usable: guests run at the processor's own speed."))
    if seen.survey.virtualisation and not seen.survey.kvm:
        text = _("The processor can virtualise, but /dev/kvm is not there: guests are emulated, which is slow.")
        return Finding("kvm", "warn", text, "modprobe kvm_intel || modprobe kvm_amd")
    text = _(
        "Guests are emulated, which is slow. Switch virtualisation (VT-x, AMD-V) on in the host's firmware; in a "
        "virtual machine, have its hypervisor pass it on."
    )
    return Finding("kvm", "warn", text)


def tools(seen: Seen) -> Finding:
    """The programs that copies and clones are made with."""
    needed = (*PROGRAMS, "setfacl") if seen.access == Access.SUDO else PROGRAMS
    missing = [name for name in needed if name not in seen.survey.programs]
    if not missing:
        return Finding("tools", "pass", _("qemu-img, virsh and the copy tools are there."))
    text = _("Missing: %(names)s. Without them no clone can be made there.", names=", ".join(missing))
    return Finding("tools", "fail", text, commands.install(seen.survey, "tools"))


def memory(seen: Seen) -> Finding:
    """Memory that is free for guests."""
    free, total = seen.sample.memory_available_mib, seen.sample.memory_total_mib
    usable = free - seen.needs.memory_reserve_mib
    text = _(
        "%(free)s of %(total)s MiB are free, %(kept)s MiB of them kept for the host.",
        free=f"{free:,}",
        total=f"{total:,}",
        kept=f"{seen.needs.memory_reserve_mib:,}",
    )
    if usable <= 0:
        return Finding("memory", "fail", _("%(text)s No guest fits. End what uses it.", text=text))
    return Finding("memory", "pass" if usable >= MOST_MEMORY_FOR_WARNING_MIB else "warn", text)


def clock(seen: Seen) -> Finding:
    """The difference of the clocks."""
    ahead = seen.survey.clock_ahead
    off = abs(ahead)
    if off < CLOCK_WARN_SECONDS:
        return Finding("clock", "pass", _("Its clock agrees with ours."))
    way = _("ahead of") if ahead > 0 else _("behind")
    text = _("Its clock is %(off)s s %(way)s ours.", off=f"{off:,.0f}", way=way)
    state: State = "fail" if off >= CLOCK_FAIL_SECONDS else "warn"
    return Finding("clock", state, text, commands.set_clock(seen.survey))


def twice(seen: Seen) -> Finding:
    """That it is not a node already, by another address, nor the master itself."""
    uuid = seen.facts.host_uuid if seen.facts else ""
    for peer in seen.peers:
        if (uuid and peer.host_uuid == uuid) or (seen.survey.machine_id and peer.machine_id == seen.survey.machine_id):
            if peer.is_master:
                text = _(
                    "This host is the master itself, node %(name)s, by another address. Remove this entry.",
                    name=peer.name,
                )
            else:
                text = _(
                    "This host is node %(name)s already, by another address. Remove this entry; where it is a copy of "
                    "that machine's disk, give it an identity of its own first.",
                    name=peer.name,
                )
            remedy = "rm -f /etc/machine-id && systemd-machine-id-setup"
            return Finding("twice", "fail", text, remedy, applied=False)
    return Finding("twice", "pass", _("No other node has its host UUID or machine id."))
