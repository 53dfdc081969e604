"""The pages of a base say what it needs of a node; of each node, what is missing there, how it gets it, and when that
was seen."""

import re
from collections.abc import Callable

from flask.testing import FlaskClient

from ravada_web.models import Base, Node, User, now
from ravada_web.remote.offers import HostOffers
from ravada_web.services.nodes.facts import store_facts
from ravada_web.services.transaction import transaction
from tests.support.factories import FACTS, change
from tests.web.conftest import World

SignIn = Callable[[User | str], FlaskClient]
NEEDS = [{"kind": "bridge", "value": "br-<lan>"}, {"kind": "tpm", "value": "2.0"}, {"kind": "kvm", "value": "yes"}]


def row_of(page: str, node_id: int) -> str:
    found = re.search(rf'<tr id="tab-node-{node_id}".*?</tr>', page, re.S)
    assert found is not None
    return found[0]


def test_a_node_that_lacks_what_the_base_needs_says_so_beside_its_tick(world: World, sign_in: SignIn) -> None:
    node_id, base = int(world.path("{node}")), world.path("{base}")
    change(Base, needs=NEEDS)
    with transaction() as session:
        store_facts(session.get_one(Node, node_id), FACTS, HostOffers(("virbr0",), ("eth0",), ()))
    change(Node, Node.id == node_id, facts_at=now())
    page = sign_in("administrator").get(f"/bases/{base}/base").text
    row = row_of(page, node_id)
    assert "Cannot run this base:" in row and "Checks of n2" in row and "<time" in row
    assert "Needs the bridge br-&lt;lan&gt;. Create the bridge in the network configuration of the host." in row
    assert "Needs an emulated TPM 2.0. Install swtpm and swtpm-tools on the host." in row
    assert "KVM" not in row, "it has that"
    others = [row for row in re.findall(r'<tr id="tab-node-.*?</tr>', page, re.S) if f"tab-node-{node_id}" not in row]
    assert others and not any("Cannot run" in row for row in others), "what was never looked at is held against nobody"
    overview = sign_in("administrator").get(f"/bases/{base}").text
    assert "the bridge br-&lt;lan&gt;, an emulated TPM 2.0, hardware virtualization (KVM)" in overview
