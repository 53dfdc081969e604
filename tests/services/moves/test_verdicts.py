"""How clones can move to nodes, in a handful of queries for many: one wrong answer sends a desktop where it cannot run,
one query for each row keeps a drain of a thousand waiting."""

import pytest
from flask import Flask
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import (
    AllowedNode,
    Base,
    BaseDisk,
    BaseVersion,
    Cause,
    Clone,
    CloneState,
    FileKind,
    Node,
    Observed,
    Operation,
    OperationState,
    Replica,
    ReplicaState,
    Role,
    ServiceState,
)
from ravada_web.placement.moving import Way
from ravada_web.services.clones import remains
from ravada_web.services.clones.requests import Request, request_clones
from ravada_web.services.moves import requests
from ravada_web.services.moves.verdicts import verdicts
from ravada_web.services.nodes.platforms import store_platform
from ravada_web.services.placements import reserve
from ravada_web.services.transaction import transaction
from tests.services.bases.test_migration import DEBIAN_12, DEBIAN_13
from tests.support.factories import POOL, change, make_base, make_nodes, make_user
from tests.web.test_safety import counted_queries

one = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def populate(nodes: int, bases: int, each: int) -> None:
    """Nodes n1 (Debian 12), n2 and so on (Debian 13), and clones of bases that all of them may run, on n1."""
    ids, chief = make_nodes(nodes), make_user("chief", Role.ADMINISTRATOR)
    change(Node, Node.name != "n1", service_state=ServiceState.DISABLED)
    for number in range(bases):
        base_id = make_base(ids, name=f"base{number}")
        request_clones(chief, Request(base_id, each, f"of{number}", chief.name))
    with transaction() as session:
        for node in session.scalars(select(Node)):
            node.service_state = ServiceState.ENABLED
            store_platform(node, DEBIAN_12 if node.name == "n1" else DEBIAN_13)
    change(Clone, state=CloneState.RUNNING, virt_type="qemu", machine="pc-q35-7.2", processor="Westmere")


def ways() -> dict[tuple[str, str], tuple[Way, str]]:
    """The way of each clone to each node, by their names, and the code of its reason."""
    db.session.rollback()
    clones, nodes = db.session.scalars(select(Clone)).all(), db.session.scalars(select(Node)).all()
    found = verdicts(db.session(), clones, nodes)
    names = {node.id: node.name for node in nodes}
    called = {clone.id: clone.name for clone in clones}
    return {
        (called[clone_id], names[node_id]): (verdict.way, verdict.reason.code if verdict.reason else "")
        for (clone_id, node_id), verdict in found.items()
    }


def test_each_clone_has_its_own_verdict_on_each_node(migrated_app: Flask) -> None:
    populate(4, 1, 3)
    change(Clone, Clone.name == "of0-2", machine="pc-q35-6.2")
    change(Clone, Clone.name == "of0-3", state=CloneState.STOPPED)
    change(Node, Node.name == "n3", observed=Observed.DOWN)
    with transaction() as session:
        clone = session.scalars(select(Clone).where(Clone.name == "of0-1")).one()
        n4 = session.scalars(select(Node.id).where(Node.name == "n4")).one()
        session.add(remains.of_clone(clone, n4, "/pool", Cause.MOVED))
    found = ways()
    assert len(found) == 12
    assert {found[clone, "n1"] for clone, _node in found} == {(Way.NONE, "move_same_node")}
    assert found["of0-1", "n2"] == (Way.LIVE, "")
    assert found["of0-2", "n2"] == (Way.COLD, "move_machine")
    assert found["of0-3", "n2"] == (Way.COLD, "")
    assert {found[clone, "n3"] for clone, _node in found} == {(Way.NONE, "not_up")}
    assert found["of0-1", "n4"] == (Way.NONE, "move_former") and found["of0-3", "n4"] == (Way.COLD, "")


@one
def test_what_a_node_lacks_for_one_base_does_not_count_for_another(migrated_app: Flask) -> None:
    populate(2, 2, 1)
    n2 = db.session.scalars(select(Node.id).where(Node.name == "n2")).one()
    base_id = db.session.scalars(select(Clone.base_id).where(Clone.name == "of0-1")).one()
    with transaction() as session:
        session.delete(session.get_one(AllowedNode, (base_id, n2)))
    found = ways()
    assert (found["of0-1", "n2"][1], found["of1-1", "n2"]) == ("not_allowed", (Way.LIVE, ""))


@one
def test_more_clones_nodes_and_bases_are_no_more_queries(migrated_app: Flask) -> None:
    populate(5, 3, 4)

    def sent(clones: int, nodes: int) -> int:
        db.session.rollback()
        db.session.expunge_all()
        some = db.session.scalars(select(Clone).limit(clones)).all()
        others = db.session.scalars(select(Node).limit(nodes)).all()
        with counted_queries() as statements:
            found = verdicts(db.session(), some, others)
            assert len(dict(found)) == clones * nodes
        return len(statements)

    assert sent(12, 5) == sent(1, 1)


@one
def test_room_for_the_loss_of_a_node_is_judged_as_if_it_had_gone_from_where_it_is(migrated_app: Flask) -> None:
    """What it leaves free where it comes from is room; but not on a node that takes none."""
    nodes = make_nodes(3, memory_mib=1024)
    chief, base_id = make_user("chief", Role.ADMINISTRATOR), make_base(nodes[:2], memory_mib=768)
    change(Node, Node.name != "n1", service_state=ServiceState.DISABLED)
    request_clones(chief, Request(base_id, 1, "of", chief.name, volatile=True))
    change(Node, service_state=ServiceState.ENABLED)
    change(Node, Node.name == "n3", memory_total_mib=512, memory_free_mib=512)
    change(Clone, state=CloneState.RUNNING, started_round=0)
    change(Operation, state=OperationState.DONE)
    reserve.set_kept(chief, True)

    def refused() -> str:
        db.session.rollback()
        found = {one.node.name: one for one in requests.prospects(chief, db.session.scalars(select(Clone)).one())}
        return found["n2"].refusal.kind and str(found["n2"].refusal)

    assert not refused()
    with transaction() as session:
        session.add(AllowedNode(base_id=base_id, node_id=nodes[2]))
        version = session.scalars(select(BaseVersion)).one()
        session.add(Replica(version=version, node_id=nodes[2], state=ReplicaState.READY, directory=POOL))
    change(Node, Node.name == "n1", service_state=ServiceState.MAINTENANCE)
    assert "kept for the loss" in refused()


BY_UEFI = "<domain><name>b</name><os firmware='efi'><type>hvm</type></os><devices/></domain>"
WITH_TPM = (
    "<domain><name>b</name><os><type>hvm</type></os><devices><tpm><backend type='emulator'/></tpm></devices></domain>"
)


@one
@pytest.mark.parametrize("template", [BY_UEFI, WITH_TPM, ""], ids=["UEFI", "TPM", "neither"])
def test_one_whose_uefi_variables_are_none_of_its_files_moves_only_while_it_is_off(
    migrated_app: Flask, template: str
) -> None:
    populate(2, 1, 1)
    change(Node, Node.name == "n2", **platform_of_the_first())
    change(Node, Node.name == "n1", display_address="10.0.0.1", local=True)
    if template:
        change(Base, template_xml=template)
    assert ways()["of0-1", "n2"] == ((Way.COLD, "move_firmware") if template == BY_UEFI else (Way.LIVE, ""))
    with transaction() as session:
        version = session.scalars(select(BaseVersion)).one()
        version.files.append(
            BaseDisk(
                kind=FileKind.NVRAM,
                target="nvram",
                file_name="n.fd",
                size=1,
                virtual_size=1,
                sha256="0" * 64,
                block_size=1,
                blocks=[],
            )
        )
    assert ways()["of0-1", "n2"] == (Way.LIVE, "")


def platform_of_the_first() -> dict[str, object]:
    db.session.rollback()
    first = db.session.scalars(select(Node).where(Node.name == "n1")).one()
    return {"platform": first.platform, "platform_digest": first.platform_digest}
