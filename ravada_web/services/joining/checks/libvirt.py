"""The checks of what libvirt offers: itself, pools, networks, machine types, firmware, and the processor."""

from flask_babel import gettext as _

from ravada_web.models import Access
from ravada_web.services.joining.checks import commands
from ravada_web.services.joining.checks.findings import Finding, Seen

SLOW_SECONDS = 2.0


def libvirt(seen: Seen) -> Finding:
    """libvirt answers, by the way that it will be used."""
    if seen.facts is not None:
        text = _(
            "libvirt %(libvirt)s with QEMU %(qemu)s answers in %(ms)s ms.",
            libvirt=seen.facts.libvirt_version,
            qemu=seen.facts.qemu_version,
            ms=round(seen.libvirt_seconds * 1000),
        )
        return Finding("libvirt", "warn" if seen.libvirt_seconds > SLOW_SECONDS else "pass", text)
    if not seen.survey.libvirt_installed:
        text = _("libvirt is not installed there.")
        mend = commands.install(seen.survey, "libvirt")
        return Finding("libvirt", "fail", text, f"{mend} && {commands.start_libvirt(seen.survey)}" if mend else "")
    if not seen.survey.libvirt_socket:
        text = _("libvirt is installed, but does not run: /run/libvirt/libvirt-sock is not there.")
        return Finding("libvirt", "fail", text, commands.start_libvirt(seen.survey))
    if seen.access == Access.SUDO and not seen.socket_open:
        text = _("libvirt's socket is closed to %(user)s, who is not in its group.", user=seen.user)
        return Finding("libvirt", "fail", text, f"usermod -aG libvirt {seen.user}")
    text = _("libvirt is there, but does not answer: %(error)s.", error=seen.libvirt_error)
    return Finding("libvirt", "fail", text, commands.start_libvirt(seen.survey))


def pools(seen: Seen) -> list[Finding]:
    """The master's pools are there too, with the same folders, and active; and what is free in them."""
    if seen.facts is None:
        return []
    own = {pool.name: pool for pool in seen.facts.pools}
    wanted = dict(seen.needs.pools) or {"default": "/var/lib/libvirt/images"}
    found = []
    for name, path in sorted(wanted.items()):
        code = f"pool:{name}"
        pool = own.get(name)
        if pool is None:
            text = _("The master's pool %(pool)s (%(path)s) is missing here.", pool=name, path=path)
            found.append(Finding(code, "fail", text, commands.make_pool(name, path)))
        elif pool.path != path:
            text = _(
                "Pool %(pool)s is at %(here)s here, and at %(there)s on the master. Bases need one place everywhere: "
                "move its files, and define it anew.",
                pool=name,
                here=pool.path,
                there=path,
            )
            mend = f"virsh pool-destroy {name}; virsh pool-undefine {name} && {commands.make_pool(name, path)}"
            found.append(Finding(code, "fail", text, mend, applied=False))
        elif not pool.active:
            text = _("Pool %(pool)s is defined, but not active.", pool=name)
            found.append(Finding(code, "fail", text, commands.start_pool(name)))
        else:
            found.append(_room(seen, code, name, path))
    return found


def _room(seen: Seen, code: str, name: str, path: str) -> Finding:
    if path not in seen.sample.disks:
        return Finding(code, "fail", _("The folder of pool %(pool)s, %(path)s, is not there.", pool=name, path=path))
    total, free = (size >> 20 for size in seen.sample.disks[path])
    text = _(
        "Pool %(pool)s at %(path)s: %(free)s of %(total)s MiB are free.",
        pool=name,
        path=path,
        free=f"{free:,}",
        total=f"{total:,}",
    )
    if free <= seen.needs.disk_floor_mib:
        low = _(
            "%(text)s %(floor)s MiB are kept free, so nothing fits.", text=text, floor=f"{seen.needs.disk_floor_mib:,}"
        )
        return Finding(code, "fail", low)
    return Finding(code, "pass", text)


def networks(seen: Seen) -> list[Finding]:
    """The networks that clones are plugged to are active."""
    if seen.facts is None:
        return []
    found = []
    for name, bases in sorted((dict(seen.needs.networks) or {"default": ""}).items()):
        if name in seen.facts.networks:
            found.append(Finding(f"network:{name}", "pass", _("Network %(name)s is active.", name=name)))
            continue
        for_whom = _(" Needed by %(bases)s.", bases=bases) if bases else ""
        text = _("Network %(name)s is not active: guests would not start.%(more)s", name=name, more=for_whom)
        found.append(Finding(f"network:{name}", "fail", text, commands.start_network(name)))
    return found


def machines(seen: Seen) -> Finding | None:
    """The machine types and firmwares that the bases were made for."""
    if seen.facts is None:
        return None
    if missing := [(name, bases) for name, bases in seen.needs.firmwares.items() if name not in seen.facts.firmwares]:
        bases = ", ".join(bases for _name, bases in missing)
        text = _("%(bases)s boot by UEFI, which is not installed there.", bases=bases)
        return Finding("machines", "fail", text, commands.install(seen.survey, "firmware"))
    if absent := {name: bases for name, bases in seen.needs.machines.items() if name not in seen.facts.machines}:
        text = _(
            "Its QEMU has no %(names)s (%(bases)s): their clones get the newest machine type of that family instead.",
            names=", ".join(absent),
            bases=", ".join(absent.values()),
        )
        return Finding("machines", "warn", text)
    return Finding("machines", "pass", _("All machine types and firmwares that the bases need are there."))


def processor(seen: Seen) -> Finding:
    """Whether running clones could move between it and the others."""
    own = seen.survey.processor or _("unknown")
    others = sorted({peer.processor for peer in seen.peers if peer.processor and peer.processor != own})
    if not others:
        return Finding("processor", "pass", _("%(model)s, as the other nodes have.", model=own) if seen.peers else own)
    text = _(
        "%(model)s; others have %(others)s. Clones that are off can run on all; running ones could only move between "
        "like processors.",
        model=own,
        others=", ".join(others),
    )
    return Finding("processor", "warn", text)
