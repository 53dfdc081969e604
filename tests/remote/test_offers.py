"""What a host offers beside libvirt, by a real sshd and on this host."""

from pathlib import Path

from ravada_web.remote.offers import read_offers
from tests.support.sshd import ssh_place


def test_bridges_cards_and_files_are_told_apart(tmp_path: Path) -> None:
    here, odd = tmp_path / "code.fd", tmp_path / "a b'$(id).fd"
    here.touch()
    odd.touch()
    asked = [str(here), str(odd), str(tmp_path / "missing.fd"), str(tmp_path)]
    with ssh_place() as place:
        for node in (place.target, place.local):
            seen = read_offers(place.workspace, node, asked, deadline=10)
            assert seen.files == tuple(sorted([str(here), str(odd)]))
            assert "lo" not in seen.cards and set(seen.bridges) <= set(seen.cards)
            bridges = {card.name for card in Path("/sys/class/net").iterdir() if (card / "bridge").is_dir()}
            cards = {card.name for card in Path("/sys/class/net").iterdir()}
            assert set(seen.bridges) <= bridges and set(seen.cards) <= cards
