"""How a rule is written: where it speaks, what becomes of what is there, how it is said, what a node must offer."""

import shlex
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from ravada_web.hypervisor.hardware.findings import Verdict
from ravada_web.messages import Figure
from ravada_web.messages.foreign import printable
from ravada_web.needs import Need

# How long a text of the domain's is shown; what is cut off is still in the domain.
MOST_SHOWN = 200


@dataclass(frozen=True)
class Place:
    """An element where it stands: in its parent, in the domain called `domain`."""

    element: ET.Element
    parent: ET.Element
    domain: str

    def get(self, attribute: str, path: str = ".") -> str:
        """An attribute of the element, or of the first one on a path below it; "" where there is none."""
        found = self.element if path == "." else self.element.find(path)
        return found.get(attribute, "") if found is not None else ""


Test = Callable[[Place], bool]
Change = Callable[[Place], None]


def _always(_place: Place) -> bool:
    return True


def nothing(_place: Place) -> Mapping[str, Figure]:
    """No figures."""
    return {}


def _none(_place: Place) -> Iterable[Need]:
    return ()


def _no_command(_place: Place) -> str:
    return ""


@dataclass(frozen=True)
class Rule:
    """One rule. It speaks of the element itself, or of each one on the path `where` below it that passes the test.

    `change` alters the element in the template; `gone` takes it out. `remedy` is the shell command that fixes what is
    refused. What a rule says is the message of the kind hardware.`kind`.
    """

    verdict: Verdict
    kind: str
    where: str = "."
    test: Test = _always
    change: Change | None = None
    gone: bool = False
    figures: Callable[[Place], Mapping[str, Figure]] = nothing
    needs: Callable[[Place], Iterable[Need]] = _none
    remedy: Callable[[Place], str] = _no_command


def shown(words: str) -> str:
    """A text of the domain's as a figure: printable and bounded."""
    return printable(words[:MOST_SHOWN])


def attribute(name: str, path: str = ".", *, figure: str = "") -> Callable[[Place], Mapping[str, Figure]]:
    """One attribute as a figure, called as it is unless said otherwise."""
    return lambda place: {figure or name: shown(place.get(name, path))}


def is_one_of(name: str, *values: str, path: str = ".") -> Test:
    """Whether an attribute has one of these values."""
    return lambda place: place.get(name, path) in values


def has(path: str) -> Test:
    """Whether there is something on a path below the element."""
    return lambda place: place.element.find(path) is not None


def both(*tests: Test) -> Test:
    """Whether all of these hold."""
    return lambda place: all(test(place) for test in tests)


def without(*names: str) -> Change:
    """Take these attributes away."""

    def change(place: Place) -> None:
        for name in names:
            place.element.attrib.pop(name, None)

    return change


def command(*words: str) -> str:
    """A shell's command of these words."""
    return shlex.join(words)
