"""A base's migration group: from the nodes that are ticked and what they offer now, on both databases."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.hypervisor.facts import NodeFacts
from ravada_web.models import AllowedNode, Base, Node, ServiceState
from ravada_web.platforms import ANY, Platform
from ravada_web.services.bases.migration import platform_on
from ravada_web.services.nodes.facts import store_facts
from ravada_web.services.nodes.platforms import hosts_among
from ravada_web.services.transaction import transaction
from tests.support.factories import FACTS, change, make_base, make_nodes


def offering(machines: Sequence[str], processors: Sequence[str]) -> NodeFacts:
    offers = FACTS.offers | {"cpu_model": list(processors)}
    return replace(FACTS, machines=(*machines, "q35"), virt_type="qemu", offers=offers)


DEBIAN_12 = offering(["pc-q35-6.2", "pc-q35-7.2"], ["Nehalem", "Westmere"])
DEBIAN_13 = offering(["pc-q35-7.2", "pc-q35-10.0"], ["Nehalem", "Westmere", "Haswell-noTSX"])
OLD, NEW = Platform("pc-q35-7.2", "Westmere"), Platform("pc-q35-10.0", "Haswell-noTSX")


def tell(node_id: int, facts: NodeFacts) -> None:
    with transaction() as session:
        store_facts(session.get_one(Node, node_id), facts, None)


def platforms(base_id: int, node_ids: Sequence[int]) -> list[Platform]:
    db.session.rollback()
    return [platform_on(db.session(), db.session.get_one(Base, base_id), node_id) for node_id in node_ids]


def test_the_group_follows_ticks_upgrades_and_nodes_that_are_given_up(migrated_app: Flask) -> None:
    nodes = make_nodes(3)
    base_id = make_base(nodes[:2])
    assert platforms(base_id, nodes) == [ANY] * 3, "nobody has asked them yet"
    tell(nodes[0], DEBIAN_13)
    assert platforms(base_id, nodes) == [NEW, ANY, ANY], "one that was not asked holds nobody back"
    tell(nodes[1], DEBIAN_13)
    tell(nodes[2], DEBIAN_12)
    assert platforms(base_id, nodes) == [NEW, NEW, ANY]
    with transaction() as session:
        session.add(AllowedNode(base_id=base_id, node_id=nodes[2]))
    assert platforms(base_id, nodes) == [OLD] * 3
    change(Node, Node.id == nodes[2], service_state=ServiceState.MAINTENANCE, observed="down")
    assert platforms(base_id, nodes) == [OLD] * 3, "it returns"
    change(Node, Node.id == nodes[2], service_state=ServiceState.GIVEN_UP)
    assert platforms(base_id, nodes) == [NEW, NEW, ANY]
    change(Node, Node.id == nodes[2], service_state=ServiceState.ENABLED)
    tell(nodes[2], DEBIAN_13)
    assert platforms(base_id, nodes) == [NEW] * 3, "it was upgraded"


@pytest.mark.usefixtures("app")
def test_a_row_that_makes_no_sense_is_as_if_nobody_had_asked_until_the_next_look() -> None:
    nodes = make_nodes(2)
    base_id = make_base(nodes)
    tell(nodes[0], DEBIAN_12)
    change(Node, Node.id == nodes[1], platform=["odd"], platform_digest="odd")
    assert platforms(base_id, nodes) == [OLD, ANY]
    tell(nodes[1], DEBIAN_13)
    assert platforms(base_id, nodes) == [OLD, OLD]
    kept = db.session.scalars(select(Node.platform_digest)).all()
    assert len(set(kept)) == 2 and set(hosts_among(db.session(), select(Node.id))) == set(nodes)
