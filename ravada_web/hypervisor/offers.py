"""What a libvirt offers to guests, by the kind of need (ravada_web.needs) that it is for."""

import xml.etree.ElementTree as ET
from collections.abc import Collection, Iterable
from contextlib import suppress

import libvirt

from ravada_web.hypervisor.errors import reading
from ravada_web.hypervisor.tree import parse
from ravada_web.messages.foreign import names, word
from ravada_web.platforms import machine_family

# Far more than a host has of each kind.
MOST_OFFERS = 2000


def read_offers(
    connection: libvirt.virConnect, virt_type: str, machines: Iterable[str], host: ET.Element, domain: ET.Element
) -> dict[str, list[str]]:
    """What guests of the host's own architecture can be given; `host` and `domain` are the capabilities of the one and
    for the others. What this libvirt does not say is left out. Raises HypervisorError."""
    with reading():
        return _read(connection, virt_type, machines, host, domain)


def _read(
    connection: libvirt.virConnect, virt_type: str, machines: Iterable[str], host: ET.Element, domain: ET.Element
) -> dict[str, list[str]]:
    arch = word(host.findtext("./host/cpu/arch"), otherwise="x86_64")
    kvm = virt_type == "kvm"
    offers: dict[str, Collection[str]] = {
        "arch": [arch],
        "machine": {machine_family(machine) for machine in machines},
        "firmware": {*_enum(domain, "./os/enum[@name='firmware']"), *_texts(domain, "./os/loader/value")},
        "secure_boot": {"yes"} & {*_enum(domain, "./os/loader/enum[@name='secure']")},
        "tpm": _tpms(domain),
        "kvm": ["yes"] if kvm else [],
        "cpu_model": _texts(domain, "./cpu/mode[@name='custom']/model[@usable='yes']"),
        "network": [net.name() for net in connection.listAllNetworks(libvirt.VIR_CONNECT_LIST_NETWORKS_ACTIVE)],
    }
    if kvm and domain.find("./features/hyperv") is not None:  # without KVM the need for that speaks for them
        offers["hyperv"] = _enum(domain, "./features/hyperv/enum[@name='features']")
    if features := _cpu_features(connection, arch, virt_type, domain):
        # What keeps a guest from being moved, such as invtsc, is in the host's own list alone.
        of_host = [feature.get("name", "") for feature in host.findall("./host/cpu/feature")] if kvm else []
        offers["cpu_feature"] = {*features, *of_host}
    with suppress(libvirt.libvirtError):  # a libvirt without its driver for these
        offers["nwfilter"] = [each.name() for each in connection.listAllNWFilters()]
    return {kind: list(names(values, MOST_OFFERS)) for kind, values in offers.items()}


def _enum(domain: ET.Element, path: str) -> list[str]:
    return _texts(domain, f"{path}/value")


def _texts(domain: ET.Element, path: str) -> list[str]:
    return [element.text for element in domain.findall(path) if element.text]


def _tpms(domain: ET.Element) -> list[str]:
    """The versions of TPM that are emulated here: libvirt looks for swtpm by itself. Older ones tell no versions."""
    if "emulator" not in _enum(domain, "./devices/tpm/enum[@name='backendModel']"):
        return []
    return _enum(domain, "./devices/tpm/enum[@name='backendVersion']") or ["1.2", "2.0"]


def _cpu_features(connection: libvirt.virConnect, arch: str, virt_type: str, domain: ET.Element) -> list[str]:
    """The features of the most that a guest can be given here; none where this libvirt does not say."""
    most = domain.find("./cpu/mode[@name='host-model'][@supported='yes']")
    if most is None:
        return []
    processor = ET.Element("cpu")
    processor.extend(most)
    text = ET.tostring(processor, encoding="unicode")
    expand = libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES
    try:
        told = connection.baselineHypervisorCPU(None, arch, None, virt_type, [text], expand)
    except libvirt.libvirtError:
        return []
    return [
        feature.get("name", "")
        for feature in parse(told, "cpu").findall("feature")
        if feature.get("policy") != "disable"
    ]
