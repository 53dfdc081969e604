"""The Base tab shows which nodes run a base's clones alike, and what it would cost to select one more."""

import re
from collections.abc import Callable
from dataclasses import replace

from flask.testing import FlaskClient
from sqlalchemy import delete

from ravada_web.models import AllowedNode, Node, User
from ravada_web.services.nodes.facts import store_facts
from ravada_web.services.transaction import transaction
from tests.services.bases.test_migration import DEBIAN_12, DEBIAN_13
from tests.support.factories import make_base, make_nodes
from tests.web.test_needs_page import row_of

SignIn = Callable[[User | str], FlaskClient]


def words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", page))


def test_the_tab_shows_the_groups_and_what_one_more_node_would_cost(sign_in: SignIn) -> None:
    new, same, old, fast, odd = make_nodes(5)
    base_id = make_base([new, same])
    fast_facts = replace(DEBIAN_13, virt_type="kvm")
    told = {new: DEBIAN_13, same: DEBIAN_13, old: DEBIAN_12, fast: fast_facts}
    with transaction() as session:
        for node_id, facts in told.items():
            store_facts(session.get_one(Node, node_id), facts, None)
    page = sign_in("administrator").get(f"/bases/{base_id}/base").text
    assert (
        "n1 and n2: new clones get the machine type pc-q35-10.0 and the processor Haswell-noTSX, and can move" in page
    )
    assert (
        "If you select it, new clones get the machine type pc-q35-7.2 instead of pc-q35-10.0 and the processor "
        "Westmere instead of Haswell-noTSX. Existing clones stay as they are."
    ) in words(row_of(page, old))
    apart = "only while they are off: it has hardware virtualization (KVM), the others have emulation."
    assert f"clones move to and from it {apart}" in words(row_of(page, fast))
    assert not any("clones" in words(row_of(page, node_id)) for node_id in (new, same)), "there is nothing to say"
    assert "What new clones would get if you select it is not known yet." in words(row_of(page, odd))
    with transaction() as session:
        session.add_all(AllowedNode(base_id=base_id, node_id=node_id) for node_id in (old, fast, odd))
    page = sign_in("administrator").get(f"/bases/{base_id}/base").text
    assert "n1, n2, and n3: new clones get the machine type pc-q35-7.2 and the processor Westmere" in page
    assert "n4: new clones get the machine type pc-q35-10.0 and the processor Haswell-noTSX." in page
    assert "n5: not known yet." in page
    assert f"the largest migration group {apart}" in words(row_of(page, fast))
    with transaction() as session:
        session.execute(delete(AllowedNode))
    page = sign_in("administrator").get(f"/bases/{base_id}/base").text
    assert "Migration groups" not in page and "If you select it, new" not in page
