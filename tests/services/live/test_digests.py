"""Digests of pages: one that cannot be made keeps no other from being made."""

from ravada_web.services.live.digests import digests
from tests.conftest import People


def test_a_digest_that_cannot_be_made_is_left_out_alone(people: People) -> None:
    mine = f"desktops-{people.user.id}"
    assert digests([mine, "clone-" + "9" * 400, "clone-seven"]) == digests([mine])
    assert digests([mine]) and digests(["clone-seven"]) == {}
