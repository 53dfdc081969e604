"""The machine type and the processor of a domain: what a base chose, what a clone is given, and what one has."""

import xml.etree.ElementTree as ET
from functools import lru_cache

from ravada_web.hypervisor.facts import NodeFacts
from ravada_web.hypervisor.tree import parse
from ravada_web.messages.foreign import word
from ravada_web.platforms import LONGEST, OF_HOST, Host, Platform, is_versioned, machine_family

# What of a processor is no part of its model.
_BESIDE_THE_MODEL = ("topology", "numa")


@lru_cache(maxsize=256)
def chosen(template: str) -> Platform:
    """The machine type that a base's template names, and the processor that was chosen for it: a model, OF_HOST, or ""
    where clones are given one. Raises HypervisorError."""
    root = parse(template)
    return Platform(_machine(root), _chosen_processor(root.find("cpu")))


def read_platform(xml: str) -> tuple[str, Platform]:
    """How a domain is run ("kvm" or "qemu"), and what it has. Raises HypervisorError."""
    root = parse(xml)
    return word(root.get("type")), Platform(_machine(root), _processor(root.find("cpu")))


def host_of(facts: NodeFacts) -> Host:
    """What a node offers to guests that come to it while they run."""
    machines = (machine for machine in facts.machines if is_versioned(machine) and len(machine) <= LONGEST)
    processors = (model for model in facts.offers.get("cpu_model", ()) if len(model) <= LONGEST)
    return Host(facts.arch, facts.virt_type, frozenset(machines), frozenset(processors))


def fit_platform(root: ET.Element, facts: NodeFacts, platform: Platform) -> None:
    """Give a clone's domain what its group has, where the node offers it: the machine type, and the processor unless
    its base chose one. Without a group it has the template's machine type where that is offered, else its family's
    newest; and emulation's own processor in place of the host's."""
    root.set("type", facts.virt_type)
    kind = root.find("./os/type")
    assert kind is not None, "templates have an os type"
    _fit_machine(kind, facts, platform.machine)
    _fit_processor(root, facts, platform.processor)


def refit_platform(root: ET.Element, facts: NodeFacts, platform: Platform) -> None:
    """Let a clone that comes off from another node keep its machine type and its processor where this node offers them;
    else it has what the clones of its base get here."""
    root.set("type", facts.virt_type)
    kind = root.find("./os/type")
    assert kind is not None, "domains have an os type"
    if _machine(root) not in facts.machines:
        _fit_machine(kind, facts, platform.machine)
    if _is_offered(root.find("cpu"), facts):
        return
    if platform.processor in facts.offers.get("cpu_model", ()):
        _give_model(root, platform.processor)
    else:
        _keep_shape(root)


def _is_offered(processor: ET.Element | None, facts: NodeFacts) -> bool:
    """Whether a domain with this processor starts here, as far as that is known."""
    if _is_of_host(processor):
        return facts.virt_type == "kvm"
    model, models = _chosen_processor(processor), facts.offers.get("cpu_model")
    return model in ("", OF_HOST) or models is None or model in models


def _fit_machine(kind: ET.Element, facts: NodeFacts, wanted: str) -> None:
    machine = kind.get("machine", "")
    fitting = (each for each in (wanted, machine, machine_family(machine)) if each in facts.machines)
    if found := next(fitting, ""):
        kind.set("machine", found)
    else:
        kind.attrib.pop("machine", None)  # the node's default


def _fit_processor(root: ET.Element, facts: NodeFacts, wanted: str) -> None:
    processor, emulated = root.find("cpu"), facts.virt_type != "kvm"
    of_host = emulated and _is_of_host(processor)
    if _chosen_processor(processor) and not of_host:
        return
    if wanted in facts.offers.get("cpu_model", ()):
        _give_model(root, wanted)
    elif of_host:
        _keep_shape(root)


def _give_model(root: ET.Element, model: str) -> None:
    processor = root.find("cpu")
    if processor is None:
        processor = ET.SubElement(root, "cpu")
    _strip(processor)
    processor.attrib.update(mode="custom", match="exact", check="partial")
    element = ET.Element("model", fallback="forbid")
    element.text = model
    processor.insert(0, element)


def _keep_shape(root: ET.Element) -> None:
    """Leave the model to the host; how many processors there are, and where memory is, stay."""
    processor = root.find("cpu")
    assert processor is not None, "asked for by its caller"
    _strip(processor)
    if not len(processor):
        root.remove(processor)


def _strip(processor: ET.Element) -> None:
    processor.attrib.clear()
    processor.text = None
    for part in [part for part in processor if part.tag not in _BESIDE_THE_MODEL]:
        processor.remove(part)


def _machine(root: ET.Element) -> str:
    kind = root.find("./os/type")
    return word(kind.get("machine")) if kind is not None else ""


def _is_of_host(processor: ET.Element | None) -> bool:
    return processor is not None and processor.get("mode", "").startswith("host-")


def _chosen_processor(processor: ET.Element | None) -> str:
    """A model that libvirt names where nobody asked for one (it does not check that) is not chosen; neither is the
    nearest to the host's own, unless features were asked for with it."""
    if processor is None:
        return ""
    mode, model = processor.get("mode", "custom"), (processor.findtext("model") or "").strip()
    if mode == "custom":
        return word(model) if processor.get("check") != "none" else ""
    if mode == "host-model" and processor.find("feature") is None:
        return ""
    return OF_HOST


def _processor(processor: ET.Element | None) -> str:
    if processor is None:
        return ""
    if processor.get("mode", "custom") == "custom":
        return word((processor.findtext("model") or "").strip())
    return OF_HOST
