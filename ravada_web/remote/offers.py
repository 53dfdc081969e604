"""What a host offers to guests beside its libvirt: bridges, network cards, and files such as firmware."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ravada_web.messages import message
from ravada_web.messages.foreign import names
from ravada_web.remote import cards
from ravada_web.remote.cards import Nic
from ravada_web.remote.commands import run
from ravada_web.remote.reading import reading
from ravada_web.remote.target import Target, Workspace
from ravada_web.remote.verbs import OFFERED, script

# Far more than a host has; guests' own cards are passed over.
MOST_NAMES = 500
SCRIPT = f"""{cards.SCRIPT}
for card in /sys/class/net/*; do
    name=${{card##*/}}
    case $name in lo|vnet*|tap*|veth*|macvtap*) continue ;; esac
    printf 'card\\0%s\\0' "$name"
    nic "$name" 2>/dev/null
    [ ! -d "$card/bridge" ] || printf 'bridge\\0%s\\0' "$name"
done
if command -v ovs-vsctl >/dev/null; then
    timeout 2 ovs-vsctl list-br 2>/dev/null | while read -r name; do printf 'bridge\\0%s\\0' "$name"; done
fi
addresses
for file; do [ ! -f "$file" ] || printf 'file\\0%s\\0' "$file"; done
"""
OFFERS = script("offers", SCRIPT, each=OFFERED)


@dataclass(frozen=True)
class HostOffers:
    """The names of the host's bridges and network cards, which of the files that were asked for are there, and what is
    known of each card."""

    bridges: tuple[str, ...]
    cards: tuple[str, ...]
    files: tuple[str, ...]
    nics: tuple[Nic, ...] = ()

    @classmethod
    def from_dict(cls, stored: Mapping[str, Sequence[Any]] | None) -> "HostOffers | None":
        """The offers that `to_dict` made this of; None of none."""
        if not stored:
            return None
        nics = tuple(Nic.from_dict(nic) for nic in stored.get("nics", ()))
        return cls(**{**{name: tuple(values) for name, values in stored.items()}, "nics": nics})

    def to_dict(self) -> dict[str, list[Any]]:
        """As plain JSON types."""
        return {name: list(values) for name, values in asdict(self).items()}


def read_offers(
    workspace: Workspace, target: Target, paths: Sequence[str], deadline: float, fresh: bool = False
) -> HostOffers:
    """Look what the host offers; `paths` are the files to look for. Raises what `run` raises; `fresh` as there."""
    step = message("remote.step_offers")
    raw = run(workspace, target, OFFERS(*paths), deadline=deadline, fresh=fresh, step=step)
    with reading(target.name, step):
        return parse_offers(raw, paths)


def parse_offers(raw: bytes, paths: Sequence[str]) -> HostOffers:
    """Read what the script says: a kind and a name by turns. A name that is none is passed over."""
    words = raw.decode(errors="replace").split("\0")
    pairs = list(zip(words[::2], words[1::2], strict=False))
    present = {*_of(pairs, "file")} & {*paths}
    bridges, names_of_cards = (names(_of(pairs, kind), MOST_NAMES) for kind in ("bridge", "card"))
    return HostOffers(bridges, names_of_cards, tuple(sorted(present)), cards.parse(pairs))


def _of(pairs: Sequence[tuple[str, str]], kind: str) -> list[str]:
    return [value for of, value in pairs if of == kind]
