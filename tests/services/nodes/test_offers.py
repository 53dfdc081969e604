"""What nodes offer, as it is put together of libvirt's words and the host's, and what bases need."""

from dataclasses import replace

import pytest
from sqlalchemy.orm import Session

from ravada_web.extensions import db
from ravada_web.hypervisor.hardware.analysis import analyse
from ravada_web.models import Base, Node
from ravada_web.needs import Need, lacking
from ravada_web.remote.offers import HostOffers
from ravada_web.services.nodes.facts import store_facts
from ravada_web.services.nodes.offers import firmware_files, needs_of, offered, offers_of
from ravada_web.services.transaction import transaction
from tests.support.factories import FACTS, change, make_base, make_nodes

HOST = HostOffers(("br-lan",), ("br-lan", "eno1"), ("/opt/code.fd",))


def test_the_hosts_offers_stand_beside_libvirts() -> None:
    offers = offered(FACTS, HOST)
    needs = [Need("bridge", "br-lan"), Need("interface", "eno1"), Need("firmware", "/opt/code.fd"), Need("kvm", "yes")]
    assert lacking(needs, offers) == []
    assert lacking([Need("tpm", "2.0"), Need("bridge", "eno1")], offers) == [Need("tpm", "2.0"), Need("bridge", "eno1")]


@pytest.mark.usefixtures("app")
def test_what_nobody_could_look_at_is_not_lacking() -> None:
    assert lacking([Need("hyperv", "synic"), Need("cpu_feature", "avx2")], offered(FACTS, HOST)) == []
    (node_id,) = make_nodes(1)
    assert lacking([Need("bridge", "br-lan")], offers_of(db.session.get_one(Node, node_id))) == []


@pytest.mark.usefixtures("app")
def test_a_look_that_the_host_did_not_answer_keeps_what_was_seen() -> None:
    (node_id,) = make_nodes(1)
    with transaction() as session:
        node = session.get_one(Node, node_id)
        store_facts(node, FACTS, HOST)
        store_facts(node, replace(FACTS, offers=FACTS.offers | {"network": ["lab"]}), None)
    seen = offers_of(_node(db.session(), node_id))
    assert (seen["bridge"], seen["network"]) == (["br-lan"], ["lab"])
    assert "/opt/code.fd" in seen["firmware"]
    with transaction() as session:
        store_facts(session.get_one(Node, node_id), FACTS, replace(HOST, bridges=()))
    assert offers_of(_node(db.session(), node_id))["bridge"] == []


@pytest.mark.usefixtures("app")
def test_a_base_from_before_needs_what_its_template_says() -> None:
    base_id = make_base(make_nodes(1))
    expected = {Need("arch", "x86_64"), Need("machine", "q35"), Need("network", "default")}
    assert set(needs_of(db.session.get_one(Base, base_id))) == expected
    kept = [{"kind": "firmware", "value": "/opt/code.fd"}, {"kind": "firmware", "value": "efi"}]
    change(Base, needs=kept)
    db.session.expire_all()
    assert [need.to_dict() for need in needs_of(db.session.get_one(Base, base_id))] == kept
    assert firmware_files(db.session()) == ("/opt/code.fd",)


def _node(session: Session, node_id: int) -> Node:
    session.expire_all()
    return session.get_one(Node, node_id)


def test_windows_on_hyper_v_features_needs_a_node_with_kvm() -> None:
    features = "<hyperv mode='custom'><relaxed state='on'/><vpindex state='on'/></hyperv>"
    xml = (
        f"<domain type='qemu'><os><type machine='q35'>hvm</type></os><features>{features}</features><devices/></domain>"
    )
    needs = analyse(xml).needs
    emulated = replace(FACTS, offers=FACTS.offers | {"kvm": []})
    assert lacking(needs, offered(FACTS, HOST)) == []
    assert lacking(needs, offered(emulated, HOST)) == [Need("kvm", "yes")]
    older = replace(FACTS, offers=FACTS.offers | {"hyperv": ["relaxed"]})
    assert lacking(needs, offered(older, HOST)) == [Need("hyperv", "vpindex")]
