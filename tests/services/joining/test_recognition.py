"""Who a host is that answers at a node's address with another host key: told by machine IDs, keys and files."""

import pytest

from ravada_web.services.joining.recognition import Holdings, Identity, Verdict, Who, recognise

OLD, NEW, BESIDE, BEFORE = "ssh-ed25519 old", "ssh-ed25519 new", "ssh-ed25519 n3", "ssh-ed25519 before"
NODE = Identity("n2", OLD, "a" * 32, [(BEFORE, "f" * 32)])
OTHER = Identity("n3", BESIDE, "b" * 32, [("ssh-ed25519 n3 before", "e" * 32)])
FULL = Holdings(desktops=1, bases=1)
BARE, COPY, NOTHING = Holdings(bases=1), Holdings(bases=3), Holdings()
THEIRS = Holdings(bases=3, others={"n3": 2, "n4": 1})

CASES = [
    ("a rotated key", NEW, "a" * 32, Holdings(5, 3), FULL, Verdict(Who.SAME)),
    ("a rotated key, only bases there", NEW, "a" * 32, COPY, BARE, Verdict(Who.SAME)),
    ("a rotated key, nothing there yet", NEW, "a" * 32, NOTHING, NOTHING, Verdict(Who.SAME)),
    ("a rotated key, and what one that moved left", NEW, "a" * 32, Holdings(5, 3, {"n3": 1}), FULL, Verdict(Who.SAME)),
    ("its machine ID, an empty pool", NEW, "a" * 32, NOTHING, FULL, Verdict(Who.EMPTIED)),
    ("its machine ID, a pool of before its desktops", NEW, "a" * 32, COPY, FULL, Verdict(Who.EMPTIED)),
    ("its machine ID, another node's pool", NEW, "a" * 32, THEIRS, FULL, Verdict(Who.OTHER, "n3")),
    ("its machine ID, another node's pool, none of its own", NEW, "a" * 32, THEIRS, NOTHING, Verdict(Who.OTHER, "n3")),
    ("no machine ID, its files", NEW, "", Holdings(5, 3), FULL, Verdict(Who.SAME)),
    ("no machine ID, no files", NEW, "", NOTHING, FULL, Verdict(Who.EMPTIED)),
    ("installed anew", NEW, "c" * 32, NOTHING, FULL, Verdict(Who.ANEW)),
    ("installed anew, where nothing stood", NEW, "c" * 32, NOTHING, NOTHING, Verdict(Who.ANEW)),
    ("installed anew from one image", NEW, "b" * 32, NOTHING, FULL, Verdict(Who.ANEW, "n3")),
    ("installed anew from the image of one that was replaced", NEW, "f" * 32, NOTHING, FULL, Verdict(Who.ANEW)),
    ("installed anew, its pool kept", NEW, "c" * 32, Holdings(5, 3), FULL, Verdict(Who.KEPT)),
    ("installed anew, its bases kept", NEW, "c" * 32, COPY, BARE, Verdict(Who.KEPT)),
    ("a copy of another node's disk", NEW, "b" * 32, THEIRS, FULL, Verdict(Who.OTHER, "n3")),
    ("a copy of another node's disk, with bases alone", NEW, "b" * 32, COPY, FULL, Verdict(Who.OTHER, "n3")),
    ("a copy of another node's disk with an ID of its own", NEW, "c" * 32, THEIRS, FULL, Verdict(Who.OTHER, "n3")),
    ("another node itself", BESIDE, "b" * 32, NOTHING, FULL, Verdict(Who.OTHER, "n3")),
    ("what it was before", BEFORE, "f" * 32, Holdings(5, 3), FULL, Verdict(Who.FORMER, "n2")),
    ("what it was before, its key changed", NEW, "f" * 32, COPY, FULL, Verdict(Who.FORMER, "n2")),
    ("what another node was before", "ssh-ed25519 n3 before", "c" * 32, NOTHING, FULL, Verdict(Who.FORMER, "n3")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "machine_id", "found", "expected", "verdict"), [row[1:] for row in CASES], ids=[row[0] for row in CASES]
)
def test_who_it_is(key: str, machine_id: str, found: Holdings, expected: Holdings, verdict: Verdict) -> None:
    assert recognise(key, machine_id, found, NODE, expected, [OTHER]) == verdict


def test_a_node_whose_machine_id_was_never_seen_is_told_by_its_files() -> None:
    unseen = Identity("n2", OLD, "")
    assert recognise(NEW, "c" * 32, FULL, unseen, FULL, [OTHER]).who == Who.SAME
    assert recognise(NEW, "c" * 32, NOTHING, unseen, FULL, [OTHER]).who == Who.EMPTIED
