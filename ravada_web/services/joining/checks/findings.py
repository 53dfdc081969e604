"""What the checks are given and what they answer; plain values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ravada_web.hypervisor.facts import NodeFacts
from ravada_web.messages import Message
from ravada_web.models import Access, Node
from ravada_web.needs import Need
from ravada_web.remote.offers import HostOffers
from ravada_web.remote.sampling import Sample
from ravada_web.remote.survey import Survey

State = Literal["pass", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One line: what was checked (`code`), how it came out, what it says, and the shell command that fixes it.

    `applied` says whether we may run the remedy ourselves, when asked to; else it is for a person to read.
    """

    code: str
    state: State
    text: Message
    remedy: str = ""
    applied: bool = True

    @classmethod
    def from_dict(cls, line: Mapping[str, Any]) -> "Finding":
        """The finding that `to_dict` made this of."""
        return cls(line["code"], line["state"], Message.from_json(line["text"]), line["remedy"], line["applied"])

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        return vars(self) | {"text": self.text.to_json()}


@dataclass(frozen=True)
class Peer:
    """Another node, as far as the checks compare with it; or a host that was a node before another took its place."""

    name: str
    host_key: str
    host_uuid: str
    machine_id: str
    processor: str
    is_master: bool
    is_former: bool = False


@dataclass(frozen=True)
class Needs:
    """What is asked of a node: by bases, each need with their names; and what the master's pools are: names to folders.
    `disk_floor_mib` is what is kept free in a pool."""

    of_bases: Mapping[Need, Sequence[str]]
    pools: Mapping[str, str]
    disk_floor_mib: int
    memory_reserve_mib: int


@dataclass(frozen=True)
class Seen:
    """All that was seen of a host. `facts` is None where libvirt did not answer, for the reason in `libvirt_error`;
    `libvirt_hangs` says that it took the connection and then said nothing, `socket_open` whether libvirt's socket is
    open to the login itself, `address` what the host is reached at, `sudo_said` why sudo did not make it root,
    `reachable` its TCP ports that answer to us. Times in seconds."""

    name: str
    user: str
    port: int
    host_key: str
    local: bool
    address: str
    access: Access
    source: str
    socket_open: bool
    sudo_said: str
    login_seconds: float
    survey: Survey
    reachable: frozenset[int]
    sample: Sample
    host: HostOffers
    facts: NodeFacts | None
    libvirt_error: Message
    libvirt_hangs: bool
    libvirt_seconds: float
    peers: tuple[Peer, ...]
    needs: Needs


def findings_of(node: Node) -> list[Finding]:
    """What the last inspection of the node found."""
    return [Finding.from_dict(finding) for finding in node.findings]
