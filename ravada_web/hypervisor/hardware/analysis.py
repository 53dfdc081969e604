"""Applying the rules to a domain: each element gets what its rules say, and none is passed over without a word."""

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ravada_web.hypervisor.errors import HypervisorError
from ravada_web.hypervisor.hardware.devices import DEVICES
from ravada_web.hypervisor.hardware.findings import VERDICTS, Analysis, Finding
from ravada_web.hypervisor.hardware.machine import MACHINE, ROOT
from ravada_web.hypervisor.hardware.rules import Place, Rule, shown
from ravada_web.hypervisor.tree import drop, parse
from ravada_web.messages import message
from ravada_web.needs import Need

# What no rule knows is of the host where it names something there.
_NAMES_A_HOST = ("source", "backend")
_UNKNOWN = (
    Rule("dropped", "foreign", test=lambda place: place.element.tag.startswith("{"), gone=True),
    Rule("dropped", "unknown_of_host", test=lambda place: _names_a_host(place.element), gone=True),
    Rule("kept", "unknown"),
)
_AS_IS = Rule("kept", "as_is")


def analyse(xml: str) -> Analysis:
    """What becomes of each element of a domain (its definition as libvirt keeps it, volumes resolved to files).

    The findings come refused first, then dropped, fitted and kept. Raises HypervisorError for what is no domain, and
    for one without devices.
    """
    root = parse(xml)
    findings, needs = apply(root)
    counts = Counter(findings)
    merged = [replace(finding, count=count) for finding, count in counts.items()]
    merged.sort(key=lambda finding: VERDICTS.index(finding.verdict))
    return Analysis(ET.tostring(root, encoding="unicode"), tuple(merged), tuple(sorted(set(needs))))


def apply(root: ET.Element) -> tuple[list[Finding], list[Need]]:
    """Apply every rule to a domain's tree; applied again, it changes nothing more."""
    devices = root.find("devices")
    if devices is None:
        raise HypervisorError(message("hypervisor.no_devices"))
    pass_ = _Pass(root.findtext("name") or "")
    pass_.element(root, root, ROOT)
    pass_.children(root, MACHINE, leave="devices")
    pass_.children(devices, DEVICES)
    for device in devices.iter():
        drop(device, "alias")
    return pass_.findings, pass_.needs


@dataclass
class _Pass:
    """One pass over a domain, and what it has found so far."""

    domain: str
    findings: list[Finding] = field(default_factory=list)
    needs: list[Need] = field(default_factory=list)

    def children(self, parent: ET.Element, rules: Mapping[str, Sequence[Rule]], leave: str = "") -> None:
        """Each of the parent's children, by the rules for its tag."""
        for child in [child for child in parent if child.tag != leave]:
            self.element(child, parent, rules.get(child.tag, _UNKNOWN))

    def element(self, element: ET.Element, parent: ET.Element, rules: Sequence[Rule]) -> None:
        """One element: the first rule that fits it is its own, all that fit its parts are theirs."""
        label = _label(element)
        own = None
        for rule in rules:
            if rule.where != ".":
                self._parts(element, label, rule)
            elif own is None and rule.test(Place(element, parent, self.domain)):
                own = rule
                if rule.gone or rule.verdict == "refused":
                    break
        self._do(own or _AS_IS, Place(element, parent, self.domain), label)

    def _parts(self, element: ET.Element, label: str, rule: Rule) -> None:
        for part, parent in list(_on_path(element, rule.where)):
            place = Place(part, parent, self.domain)
            if rule.test(place):
                self._do(rule, place, f"{label}/{_name(part.tag)}")

    def _do(self, rule: Rule, place: Place, label: str) -> None:
        text = message(f"hardware.{rule.kind}", **rule.figures(place))
        self.findings.append(Finding(rule.verdict, label, text, rule.remedy(place)))
        self.needs.extend(rule.needs(place))
        if rule.change is not None:
            rule.change(place)
        if rule.gone:
            place.parent.remove(place.element)


def _on_path(element: ET.Element, path: str) -> Iterator[tuple[ET.Element, ET.Element]]:
    """The elements on a path below this one, each with its parent."""
    above, _slash, last = path.rpartition("/")
    for parent in element.findall(above) if above else [element]:
        for part in parent.findall(last):
            yield part, parent


def _label(element: ET.Element) -> str:
    """An element as the page names it: its tag, and of a disk the target."""
    target = element.find("target")
    name = _name(element.tag)
    return f"{name} {shown(target.get('dev', ''))}" if element.tag == "disk" and target is not None else name


def _name(tag: str) -> str:
    """A tag as it is written: libvirt's own plain, others' after the last part of their namespace."""
    if not tag.startswith("{"):
        return shown(tag)
    namespace, _brace, name = tag[1:].partition("}")
    parts = [part for part in namespace.split("/") if part and not part.replace(".", "").isdigit()]
    return shown(f"{parts[-1] if parts else ''}:{name}")


def _names_a_host(element: ET.Element) -> bool:
    return any(part.tag in _NAMES_A_HOST or {"path", "file", "dev"} & set(part.attrib) for part in element.iter())
