"""What is said of a domain's elements before it is imported; plain values."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ravada_web.messages import Message
from ravada_web.needs import Need

# In the order in which they are read: what stands in the way first.
Verdict = Literal["refused", "dropped", "fitted", "kept"]
VERDICTS: tuple[Verdict, ...] = ("refused", "dropped", "fitted", "kept")


@dataclass(frozen=True)
class Finding:
    """One line: what becomes of an element (its libvirt name, with the disk's target), why, and the shell command
    that fixes what is refused. `count` elements are alike."""

    verdict: Verdict
    element: str
    text: Message
    remedy: str = ""
    count: int = 1

    @classmethod
    def from_dict(cls, line: Mapping[str, Any]) -> "Finding":
        """The finding that `to_dict` made this of."""
        text = Message.from_json(line["text"])
        return cls(line["verdict"], line["element"], text, line["remedy"], line["count"])

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        return vars(self) | {"text": self.text.to_json()}


@dataclass(frozen=True)
class Analysis:
    """A domain as the template of a base: the XML with every rule applied, what was found in it, and what a node
    must offer to run it."""

    template: str
    findings: tuple[Finding, ...]
    needs: tuple[Need, ...]

    @property
    def refused(self) -> tuple[Finding, ...]:
        """What stands in the way of the import; empty where nothing does."""
        return tuple(finding for finding in self.findings if finding.verdict == "refused")
