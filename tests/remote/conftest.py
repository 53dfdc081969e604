"""A host that is reached over SSH, and this one: what is run on a node must do alike on both."""

from collections.abc import Iterator

import pytest

from ravada_web.remote.target import Target
from tests.support.sshd import Place, ssh_place


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with ssh_place() as made:
        yield made


@pytest.fixture(params=["over SSH", "here"])
def node(request: pytest.FixtureRequest, place: Place) -> Target:
    return place.target if request.param == "over SSH" else place.local
