"""All the checks, in the order in which they are read."""

from dataclasses import replace

from ravada_web.services.joining.checks import firewall, host, libvirt
from ravada_web.services.joining.checks.findings import Finding, Seen


def findings(seen: Seen) -> list[Finding]:
    """What every check found; what only libvirt can say of a host is left out where it does not answer, but for what is
    needed there. This very host is on whenever it is asked, so it is never woken; and no
    remedy is run there by the product: it is for a person to read."""
    found = [
        host.ssh(seen),
        host.access(seen),
        host.twice(seen),
        host.distribution(seen),
        libvirt.libvirt(seen),
        host.kvm(seen),
        host.tools(seen),
        host.memory(seen),
        *libvirt.pools(seen),
        *libvirt.networks(seen),
        *libvirt.needs(seen),
        libvirt.processor(seen),
        host.clock(seen),
        *([] if seen.local else [host.wake(seen)]),
        firewall.firewall(seen),
    ]
    return [replace(each, applied=False) for each in found] if seen.local else found
