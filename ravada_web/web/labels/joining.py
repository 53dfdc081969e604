"""What the checks of a host are about."""

from flask_babel.speaklater import LazyString

from ravada_web.web.rendering import later as _l

FINDINGS = {
    "ssh": _l("SSH"),
    "access": _l("Access"),
    "twice": _l("Identity"),
    "distribution": _l("Distribution"),
    "libvirt": _l("libvirt"),
    "kvm": _l("Virtualization"),
    "tools": _l("Software"),
    "memory": _l("Memory"),
    "pool": _l("Pool"),
    "network": _l("Network"),
    "needs": _l("Needs of bases"),
    "need": _l("Needs of bases"),
    "processor": _l("Processor"),
    "wake": _l("Wake-on-LAN"),
    "clock": _l("Clock"),
    "firewall": _l("Firewall"),
}


def finding(code: str) -> LazyString | str:
    """What a finding is about; a pool's and a network's have their name behind a colon."""
    kind, _colon, name = code.partition(":")
    word = FINDINGS.get(kind, kind)
    return f"{word} {name}" if name and kind != "need" else word
