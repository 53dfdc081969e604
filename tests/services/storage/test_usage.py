"""Whose the files of a pool are, hostile names among them; and when they are counted again."""

from datetime import timedelta

from flask import Flask

from ravada_web.models import Node, Observed, ServiceState, Trust, now
from ravada_web.remote.files import FileSeen
from ravada_web.services.storage import usage
from ravada_web.services.storage.usage import MIB, Owner, summed
from ravada_web.services.transaction import transaction
from tests.support.factories import make_nodes

OWNERS = {
    "/p/base.qcow2": Owner("base", "linux v1", 1),
    "/p/a-1.0123abcd.vda.qcow2": Owner("clone", "a-1", 7, virtual_size=100 * MIB),
}


def seen(path: str, mib: float) -> FileSeen:
    return FileSeen(path, int(mib * MIB), int(mib * MIB))


def test_each_file_is_somebodys() -> None:
    found = summed(
        [
            seen("/p/base.qcow2", 50),
            seen("/p/a-1.0123abcd.vda.qcow2", 30),
            seen("/p/gone-4.89abcdef.vda.qcow2", 5),
            seen("/p/.ravada-base-1-v1-vda.qcow2.op-12-1.part", 4),
            seen("/p/ravada-proof-op-3-1.qcow2", 1),
            seen("/p/debian.iso", 60),
        ],
        OWNERS,
    )
    assert {kind: (sums["count"], sums["mib"]) for kind, sums in found["kinds"].items()} == {
        "base": (1, 50),
        "clone": (1, 30),
        "orphan": (3, 10),
        "other": (1, 60),
    }
    assert [line["path"] for line in found["biggest"]][:2] == ["/p/debian.iso", "/p/base.qcow2"]
    assert found["growth_mib"] == 70


def test_a_name_of_any_bytes_can_be_kept_and_shown() -> None:
    (line,) = summed([seen("/p/a\nb\udcff\u202e<b>", 1)], {})["biggest"]
    assert line["kind"] == "other" and line["path"].isprintable() and "<b>" in line["path"]
    line["path"].encode()


def test_a_clone_larger_than_its_disk_grows_no_more() -> None:
    assert summed([seen("/p/a-1.0123abcd.vda.qcow2", 120)], OWNERS)["growth_mib"] == 0


def test_pools_are_counted_that_were_not_for_ten_minutes_where_work_may_be_sent(app: Flask) -> None:
    nodes = make_nodes(6)
    with transaction() as session:
        for node_id, minutes in zip(nodes[1:], (3, 11, 11, 11, 11), strict=True):
            session.get_one(Node, node_id).pools[0].counted_at = now() - timedelta(minutes=minutes)
        session.get_one(Node, nodes[3]).observed = Observed.DOWN
        session.get_one(Node, nodes[4]).service_state = ServiceState.GIVEN_UP
        session.get_one(Node, nodes[5]).trust = Trust.CHANGED
    assert usage.due() == [[nodes[0], nodes[2]]]
    assert usage.due() == [], "what did not come of it is not asked for at once again"


def test_what_a_deleted_uefi_clone_left_is_an_orphan_of_ours() -> None:
    left = [seen("/p/gone-4.89abcdef.nvram.fd", 1), seen("/p/.ravada-base-1-v1-nvram.fd.op-12-1.part", 1)]
    kinds = summed([*left, seen("/p/OVMF_VARS.fd", 1)], OWNERS)["kinds"]
    assert (kinds["orphan"]["count"], kinds["other"]["count"]) == (2, 1)
