"""libvirt's XML as trees: the one place where it is read, within bounds; and the smallest edits of a domain."""

import xml.etree.ElementTree as ET

from ravada_web.hypervisor.errors import HypervisorError
from ravada_web.messages import message
from ravada_web.messages.foreign import printable

# Far above what a domain needs, and far below what would hold up a job.
MOST_CHARACTERS, MOST_ELEMENTS, MOST_DEPTH = 1 << 20, 20_000, 50
# Capabilities name each processor and each machine type; libvirt sends no longer texts.
MOST_CAPABILITIES = 4 << 20


class _Bounded(ET.TreeBuilder):
    """A tree builder that stops at a document that is too large or too deep."""

    def __init__(self, most_elements: int) -> None:
        super().__init__()
        self._most = most_elements
        self._elements = self._depth = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> ET.Element:
        """An element opens. Raises HypervisorError beyond the bounds."""
        self._elements += 1
        self._depth += 1
        if self._elements > self._most or self._depth > MOST_DEPTH:
            raise HypervisorError(message("hypervisor.xml_too_large"))
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> ET.Element:
        """An element closes."""
        self._depth -= 1
        return super().end(tag)


def parse(xml: str, tag: str = "domain", most: int = MOST_CHARACTERS) -> ET.Element:
    """The tree of what libvirt writes, a domain's XML or that of the given `tag`, of `most` characters.

    Raises HypervisorError for what is none, for what is larger or deeper than any, and for a document type or
    entities, which libvirt never writes.
    """
    if len(xml) > most:
        raise HypervisorError(message("hypervisor.xml_too_large"))
    if "<!" in xml.replace("<!--", ""):
        raise HypervisorError(message("hypervisor.xml_entities"))
    try:
        root = ET.fromstring(xml, ET.XMLParser(target=_Bounded(MOST_ELEMENTS * (most // MOST_CHARACTERS))))
    except (ET.ParseError, ValueError) as error:  # a half character is no XML either
        raise HypervisorError(message("hypervisor.xml_unreadable", said=printable(str(error)))) from error
    if root.tag != tag:
        raise HypervisorError(message("hypervisor.xml_other", tag=printable(root.tag), expected=tag))
    return root


def put(parent: ET.Element, tag: str, text: str, **attributes: str) -> ET.Element:
    """The parent's child of that tag, made if need be, with that text and those attributes."""
    child = parent.find(tag)
    if child is None:
        child = ET.SubElement(parent, tag)
    child.text = text
    child.attrib.update(attributes)
    return child


def drop(parent: ET.Element, *tags: str) -> None:
    """Take the parent's children of these tags away."""
    for tag in tags:
        for child in parent.findall(tag):
            parent.remove(child)
