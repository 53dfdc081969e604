"""Sealing: a secret comes back for its purpose and key alone, and secrets sealed by former versions still open."""

import base64
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ravada_web.identity.sealing import Purpose, seal, unseal

KEY = "an installation's key, for tests alone"
# Sealed by the first version that had second factors, which derived one key for all purposes.
OLD = (
    "gAAAAABrCP-YIJOWD980A6_CXx7Aaham997Q3CCBQ7P9gswnULkaq9VP_G734NndnHsBCWMTdkAYZSaIIvDLa00vRKlthvMZhO0N4yHJEAa5BwS7_"
    "Y0TPog="
)


@given(st.text(), st.sampled_from(Purpose))
def test_a_secret_comes_back(secret: str, purpose: Purpose) -> None:
    assert unseal(seal(secret, purpose, KEY), purpose, KEY) == secret


def test_it_is_not_seen_in_between() -> None:
    sealed = seal("correct horse battery", Purpose.NODE_PASSWORD, KEY)
    assert "horse" not in sealed and b"horse" not in base64.urlsafe_b64decode(sealed)


@pytest.mark.parametrize(("mine", "other"), list(permutations(Purpose, 2)))
def test_what_is_sealed_for_one_purpose_no_other_opens(mine: Purpose, other: Purpose) -> None:
    assert unseal(seal("secret", mine, KEY), other, KEY) is None


@pytest.mark.parametrize(
    "kept",
    ["", "no token", seal("secret", Purpose.VIEWER_FILE, "another key")],
    ids=["nothing", "no token", "another key"],
)
def test_what_another_key_sealed_or_nobody_did_is_nothing(kept: str) -> None:
    assert unseal(kept, Purpose.VIEWER_FILE, KEY) is None


def test_second_factors_of_former_versions_open() -> None:
    assert unseal(OLD, Purpose.SECOND_FACTOR, KEY) == "JBSWY3DPEHPK3PXP"
