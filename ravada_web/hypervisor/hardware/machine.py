"""Rules for the machine itself: all that is in a domain beside its devices."""

from collections.abc import Mapping, Sequence

from ravada_web.hypervisor.hardware.rules import Place, Rule, attribute, command, has, is_one_of, shown, without
from ravada_web.hypervisor.tree import drop
from ravada_web.messages import Figure
from ravada_web.needs import Need
from ravada_web.platforms import machine_family

_QEMU = "{http://libvirt.org/schemas/domain/qemu/1.0}"


def boots_by_uefi(system: Place) -> bool:
    """Whether an <os> asks for UEFI, by its name or by its files."""
    return system.get("firmware") == "efi" or system.get("type", "loader") == "pflash"


def _is_secured(system: Place) -> bool:
    feature = "firmware/feature[@name='secure-boot'][@enabled='yes']"
    return system.get("secure", "loader") == "yes" or has(feature)(system)


def _uefi_needs(system: Place) -> list[Need]:
    """The very firmware where the domain names it, since its variables are of that one alone; else any UEFI."""
    loader = system.element.findtext("loader", "").strip()
    return [Need("firmware", loader or "efi"), *([Need("secure_boot", "yes")] if _is_secured(system) else [])]


def _forget_file(nvram: Place) -> None:
    nvram.element.text = None
    drop(nvram.element, "source")


def _arch(place: Place) -> str:
    arch = place.get("arch")
    return "x86_64" if arch in ("", "i686") else arch


def _machine_needs(place: Place) -> list[Need]:
    machine = place.get("machine")
    return [Need("arch", _arch(place)), *([Need("machine", machine_family(machine))] if machine else [])]


def _edit(place: Place) -> str:
    return command("virsh", "edit", place.domain)


def _text(place: Place) -> Mapping[str, Figure]:
    return {"path": shown(_file(place))}


def _file(place: Place) -> str:
    return (place.element.text or "").strip()


SYSTEM = (
    Rule(
        "refused",
        "not_hvm",
        where="type",
        test=lambda place: (place.element.text or "").strip() != "hvm",
        remedy=_edit,
    ),
    Rule("refused", "kernel_of_host", where="kernel", figures=_text, remedy=_edit),
    Rule("dropped", "host_file", where="acpi/table", figures=_text, gone=True),
    Rule(
        "dropped",
        "firmware_of_host",
        where="loader",
        test=lambda place: place.get("type") != "pflash" and "bios" in _file(place).lower(),
        figures=_text,
        gone=True,
    ),
    Rule(
        "kept",
        "firmware_file",
        where="loader",
        test=lambda place: place.get("type") != "pflash" and bool(_file(place)),
        figures=_text,
        needs=lambda place: [Need("firmware", _file(place))],
    ),
    Rule(
        "refused",
        "firmware_writable",
        where="loader",
        test=lambda place: place.get("type") == "pflash" and place.get("readonly") == "no",
        figures=_text,
        remedy=_edit,
    ),
    Rule(
        "kept",
        "machine",
        where="type",
        figures=lambda place: {
            "machine": shown(place.get("machine")) or "–",
            "family": shown(machine_family(place.get("machine"))) or "–",
        },
        needs=_machine_needs,
    ),
    Rule(
        "fitted",
        "nvram",
        where="nvram",
        test=lambda place: bool((place.element.text or "").strip()) or has("source")(place),
        change=_forget_file,
    ),
    Rule("kept", "uefi_secured", test=lambda place: boots_by_uefi(place) and _is_secured(place), needs=_uefi_needs),
    Rule("kept", "uefi", test=boots_by_uefi, needs=_uefi_needs),
)


def _hyperv(place: Place) -> list[str]:
    return [feature.tag for feature in place.element if feature.get("state") == "on"]


FEATURES = (
    Rule(
        "kept",
        "hyperv",
        where="hyperv",
        test=lambda place: bool(_hyperv(place)) or place.get("mode") == "passthrough",
        figures=lambda place: {"features": [shown(name) for name in _hyperv(place)] or [shown(place.get("mode"))]},
        needs=lambda place: [Need("kvm", "yes"), *(Need("hyperv", name) for name in _hyperv(place))],
    ),
)


def _model(place: Place) -> str:
    model = place.element.find("model")
    return (model.text or "").strip() if model is not None else ""


def _required(place: Place) -> list[str]:
    features = place.element.findall("feature[@policy='require']")
    return [feature.get("name", "") for feature in features]


def _is_named(place: Place) -> bool:
    """Whether the guest is to have one certain model; a host's own is each node's own."""
    return place.get("mode") in ("", "custom") and bool(_model(place)) and place.get("check") != "none"


def _model_needs(place: Place) -> list[Need]:
    """One that goes without some features of its model runs on nodes that call the whole of the model unusable."""
    without_some = has("feature[@policy='disable']")(place) or has("feature[@policy='forbid']")(place)
    return [] if without_some else [Need("cpu_model", _model(place))]


PROCESSOR = (
    Rule("fitted", "processor_of_host", test=lambda place: place.get("mode") in ("host-passthrough", "host-model")),
    Rule(
        "kept",
        "processor_features",
        test=lambda place: _is_named(place) and bool(_required(place)),
        figures=lambda place: {"model": shown(_model(place)), "features": [shown(name) for name in _required(place)]},
        needs=lambda place: [*_model_needs(place), *(Need("cpu_feature", name) for name in _required(place))],
    ),
    Rule(
        "kept",
        "processor",
        test=_is_named,
        figures=lambda place: {"model": shown(_model(place))},
        needs=lambda place: _model_needs(place),
    ),
)
_PINS = ("vcpupin", "emulatorpin", "iothreadpin", "vcpusched", "emulatorsched", "iothreadsched", "cachetune")
_PLACED = (Rule("dropped", "placed_on_host", gone=True),)
_NOTES = (Rule("dropped", "notes", gone=True),)


def _arguments(place: Place) -> Mapping[str, Figure]:
    words = [part.get("value", part.get("name", "")) for part in place.element]
    return {"arguments": shown(" ".join(words))}


ROOT = (Rule("fitted", "virtualization", change=without("id")),)
MACHINE: Mapping[str, Sequence[Rule]] = {
    "name": (Rule("fitted", "identity"),),
    "uuid": (Rule("fitted", "identity", gone=True),),
    "genid": (Rule("fitted", "identity", change=lambda place: setattr(place.element, "text", None)),),
    "sysinfo": (Rule("fitted", "sysinfo", gone=True),),
    "title": _NOTES,
    "description": _NOTES,
    "metadata": _NOTES,
    "currentMemory": (Rule("fitted", "all_memory", gone=True),),
    "vcpu": (
        Rule("dropped", "pinned", test=lambda place: bool(place.get("cpuset")), change=without("cpuset", "placement")),
    ),
    "cputune": tuple(Rule("dropped", "pinned", where=tag, gone=True) for tag in (*_PINS, "memorytune")),
    "numatune": _PLACED,
    "memtune": _PLACED,
    "memoryBacking": _PLACED,
    "blkiotune": _PLACED,
    "resource": _PLACED,
    "perf": _PLACED,
    "idmap": _PLACED,
    "launchSecurity": (Rule("dropped", "launch_security", figures=attribute("type"), gone=True),),
    "seclabel": (Rule("dropped", "security_label", gone=True),),
    "os": SYSTEM,
    "features": FEATURES,
    "cpu": PROCESSOR,
    "clock": (
        Rule(
            "kept",
            "hyperv_clock",
            where="timer[@name='hypervclock']",
            test=is_one_of("present", "yes"),
            needs=lambda _place: [Need("kvm", "yes")],
        ),
    ),
    f"{_QEMU}commandline": (Rule("dropped", "qemu_arguments", figures=_arguments, gone=True),),
    **dict.fromkeys(
        (
            "memory",
            "maxMemory",
            "vcpus",
            "iothreads",
            "iothreadids",
            "defaultiothread",
            "on_poweroff",
            "on_reboot",
            "on_crash",
            "on_lockfailure",
            "pm",
            "keywrap",
        ),
        (),
    ),
}
