"""What is read of a host's network cards: which one wakes it, and who is beside it; and the packet that does."""

import json
import shutil
import socket
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ravada_web.remote import cards, wake
from ravada_web.remote.cards import Nic, broadcast_beside, parse, waking
from ravada_web.remote.commands import run
from ravada_web.remote.offers import HostOffers, parse_offers, read_offers
from tests.support.sshd import ssh_place

MAC = "52:54:00:12:34:56"
# As a host with a bridge over a bond over two cards tells it, and another card.
HOST = [
    ("card", "br0"),
    ("nic", f"br0 {MAC} cannot "),
    ("nic", f"bond0 {MAC} cannot br0"),
    ("nic", f"eno1 {MAC} unset bond0"),
    ("nic", "eno2 52:54:00:12:34:57 ready bond0"),
    ("nic", "eno3 52:54:00:12:34:58 ready "),
    ("nic", "virbr0 52:54:00:00:00:01 cannot "),
    ("address", "br0 192.0.2.12/24"),
    ("address", "eno3 198.51.100.2/30"),
    ("address", "virbr0 192.168.122.1/24"),
    ("default", "eno3"),
]


def names(address: str) -> str:
    found = waking(parse(HOST), address)
    return found.name if found else ""


def test_the_card_behind_the_bridge_of_its_address_wakes_it() -> None:
    found = waking(parse(HOST), "192.0.2.12")
    assert found == Nic("eno2", "52:54:00:12:34:57", "ready", "bond0", ("192.0.2.12/24",))
    assert names("198.51.100.2") == "eno3"
    assert names("203.0.113.5") == names("node2.example.org") == "eno3", "behind NAT: the way to all others"
    assert waking(parse(HOST[:-1]), "203.0.113.5") is None


def test_bridges_over_each_other_come_to_an_end() -> None:
    circle = parse([("nic", f"a {MAC} cannot b"), ("nic", f"b {MAC} cannot a"), ("default", "a")])
    assert waking(circle, "") is not None


def test_what_is_none_of_it_is_passed_over() -> None:
    odd = [
        ("nic", f"$(reboot) {MAC} ready"),
        ("nic", f"eth0 {MAC} maybe"),
        ("nic", "eth0 00:00:00 ready"),
        ("nic", f"{'e' * 16} {MAC} ready"),
        ("address", "eth0 192.0.2.1/24"),
        ("default", "eth0"),
        ("nic", f"eth1 {MAC} ready $(reboot)"),
        ("address", "eth1 192.0.2.1/99"),
        ("address", "eth1 nonsense"),
    ]
    assert parse(odd) == (Nic("eth1", MAC, "ready"),)
    many = parse([("nic", f"e{number} {MAC} ready") for number in range(1000)])
    assert len(many) == cards.MOST_CARDS


@given(some.lists(some.tuples(some.sampled_from(["nic", "address", "default"]), some.text())))
def test_whatever_a_host_says_is_read_and_kept(pairs: list[tuple[str, str]]) -> None:
    seen = HostOffers((), (), (), parse(pairs))
    assert HostOffers.from_dict(json.loads(json.dumps(seen.to_dict()))) == seen
    assert all(asdict(nic)["mac"] for nic in seen.nics)


def test_what_was_kept_before_cards_were_read_is_still_read() -> None:
    assert HostOffers.from_dict({"bridges": ["br0"], "cards": ["br0"], "files": []}) == HostOffers(
        ("br0",), ("br0",), ()
    )


@pytest.mark.parametrize(
    ("own", "asked", "broadcast"),
    [
        ("192.0.2.12/24", "192.0.2.7/24", "192.0.2.255"),
        ("192.0.2.12/24", "192.0.2.7", "192.0.2.255"),
        ("10.1.2.3/20", "10.1.15.9/20", "10.1.15.255"),
        ("192.0.2.12/24", "192.0.3.7/24", ""),
        # Each host has libvirt's own network, and none of them is in another's.
        ("192.168.122.1/24", "192.168.122.1/24", ""),
        ("192.0.2.12/31", "192.0.2.13/31", ""),
        ("192.0.2.12/24", "2001:db8::7", ""),
        ("192.0.2.12/24", "node2.example.org", ""),
    ],
)
def test_who_is_beside_it_knows_where_to_send(own: str, asked: str, broadcast: str) -> None:
    assert broadcast_beside([Nic("eth0", MAC, "ready", addresses=(own,))], [asked]) == broadcast


def test_this_hosts_cards_are_read_as_they_are() -> None:
    with ssh_place() as place:
        seen = read_offers(place.workspace, place.target, [], deadline=30)
    here = {card.name: (card / "address").read_text().strip() for card in Path("/sys/class/net").iterdir()}
    assert {nic.name for nic in seen.nics} == {name for name in seen.cards if cards.MAC.fullmatch(here[name])}
    assert all(nic.mac == here[nic.name] and nic.wakes in cards.WAKES for nic in seen.nics)


def test_a_card_says_by_ethtool_whether_it_wakes_its_host(tmp_path: Path) -> None:
    """A card of its own, and an ethtool that says what real ones do."""
    name, words = "eno1", "	Supports Wake-on: {can}\n	Wake-on: {set}"
    card = tmp_path / "net" / name
    (card / "device").mkdir(parents=True)
    (card / "address").write_text(f"{MAC}\n")
    tools = tmp_path / "bin"
    tools.mkdir()
    script = cards.SCRIPT.replace("/sys/class/net", str(tmp_path / "net")) + "\nwakes eno1"
    with ssh_place() as place:

        def said(can: str, is_set: str) -> str:
            line = words.format(can=can, set=is_set)
            (tools / "ethtool").write_text(f"#!/bin/sh\nprintf 'Settings for %s:\\n{line}\\n' \"$1\"\n")
            (tools / "ethtool").chmod(0o755)
            told = run(place.workspace, place.local, ["sh", "-c", f"PATH={tools}:$PATH; {script}"], deadline=30)
            return told.decode().strip()

        assert [said("pumbg", "g"), said("pumbg", "ug"), said("pumbg", "d")] == ["ready", "ready", "unset"]
        assert said("pumb", "d") == "cannot"


@pytest.mark.parametrize("program", ["perl", "python3"])
def test_the_packet_is_sent_by_whatever_the_host_has(tmp_path: Path, program: str) -> None:
    """To this test's own broadcast address of the loopback network, where no other test listens."""
    there = sys.executable if program == "python3" else shutil.which(program)
    (tmp_path / program).write_text(f'#!/bin/sh\nexec {there} "$@"\n')
    (tmp_path / program).chmod(0o755)
    text = wake.WAKE(MAC, "127.255.255.255")
    with socket.socket(type=socket.SOCK_DGRAM) as ear, ssh_place() as place:
        ear.bind(("127.255.255.255", 0))
        ear.settimeout(30)
        port = str(ear.getsockname()[1])
        words = [word.replace(f"sockaddr_in({wake.PORT},", f"sockaddr_in({port},") for word in text]
        words = [word.replace(f"(sys.argv[2], {wake.PORT})", f"(sys.argv[2], {port})") for word in words]
        words[2] = f"PATH={tmp_path}; {words[2]}"
        run(place.workspace, place.local, words, deadline=30)
        assert [ear.recv(200) for _time in range(wake.TIMES)] == [wake.magic_packet(MAC)] * wake.TIMES
    assert len(wake.magic_packet(MAC)) == 102


def test_a_packet_is_for_a_card_and_a_network_and_nothing_else() -> None:
    for mac, to in [
        ("52:54", "192.0.2.255"),
        (MAC, "-e"),
        (MAC, "host.example.org"),
        ("52:54:00:12:34:AB", "192.0.2.255"),
    ]:
        with pytest.raises(ValueError):
            wake.WAKE(mac, to)


def test_pairs_of_cards_do_not_disturb_what_else_is_read() -> None:
    raw = b"".join(f"{kind}\0{line}\0".encode() for kind, line in [*HOST, ("bridge", "br0"), ("file", "/a")])
    seen = parse_offers(raw, ["/a"])
    assert (seen.cards, seen.bridges, seen.files, len(seen.nics)) == (("br0",), ("br0",), ("/a",), 6)
