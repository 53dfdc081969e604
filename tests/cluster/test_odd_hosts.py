"""Hosts as people have them, on the lab: each is well, or degraded with its own cause; no other node suffers."""

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
from sqlalchemy import update

from ravada_web.extensions import db
from ravada_web.models import Node, Observed, Trust
from ravada_web.remote.commands import run
from ravada_web.remote.errors import HostKeyChanged
from ravada_web.remote.links import link_is_up
from ravada_web.services.nodes import endpoints
from ravada_web.services.transaction import transaction
from tests.lab import LabNode
from tests.support.cluster import Cluster
from tests.support.servers import wait_until

LIBVIRTD_CONF = "etc/libvirt/libvirtd.conf"


@contextmanager
def host_uuid(node: LabNode, uuid: str) -> Iterator[None]:
    """The node with another host UUID, as a board without a DMI UUID has after each start of libvirtd."""
    conf = node.folder / LIBVIRTD_CONF
    kept = conf.read_text()
    try:
        conf.write_text(kept.replace(node.uuid, uuid))
        node.restart_libvirtd()
        yield
    finally:
        conf.write_text(kept)
        node.restart_libvirtd()


def move(addresses: dict[str, str]) -> None:
    """Set the addresses of nodes, as one edit after the other in their settings does in the end."""
    with transaction() as session:
        for name in addresses:
            session.execute(update(Node).where(Node.name == name).values(address=f"{name}.invalid"))
        for name, address in addresses.items():
            session.execute(update(Node).where(Node.name == name).values(address=address))


def up(cluster: Cluster, name: str) -> bool:
    node = cluster.node(name)
    return node.observed == Observed.UP and node.trust == Trust.PINNED


def test_nodes_whose_addresses_were_swapped_and_set_right_are_trusted_again_by_themselves(cluster: Cluster) -> None:
    right = {name: cluster.node(name).address for name in ("rvt2", "rvt3")}
    move({"rvt2": right["rvt3"], "rvt3": right["rvt2"]})
    wait_until(lambda: all(cluster.node(n).trust == Trust.CHANGED for n in right), 15, "both are quarantined")
    move(right)
    wait_until(lambda: all(up(cluster, name) for name in right), 30, "both are up again")


def test_a_changed_key_met_beside_an_open_link_quarantines_at_once(cluster: Cluster) -> None:
    lab_node = cluster.lab.nodes[1]
    ssh = lab_node.folder / "etc/ssh"
    kept = {path: path.read_bytes() for path in ssh.glob("ssh_host_*")}
    where = endpoints.target(cluster.node("rvt2"))
    db.session.rollback()
    lab_node.rotate_host_key()
    try:
        assert link_is_up(endpoints.workspace(), where), "the old connection goes on, and hides the new key"
        with pytest.raises(HostKeyChanged):
            run(endpoints.workspace(), where, ["true"], deadline=5, fresh=True)
        assert cluster.node("rvt2").trust == Trust.CHANGED
        wait_until(lambda: not link_is_up(endpoints.workspace(), where), 3, "its link is closed")
    finally:
        for path, content in kept.items():
            path.write_bytes(content)
        lab_node.run(["sh", "-c", "kill -HUP 1"])
    wait_until(lambda: up(cluster, "rvt2"), 30, "it shows the pinned key again, and is up")


def test_a_new_host_uuid_under_the_pinned_key_is_kept(cluster: Cluster) -> None:
    fresh = str(uuid4())
    with host_uuid(cluster.lab.nodes[1], fresh):
        wait_until(
            lambda: cluster.node("rvt2").host_uuid == fresh and up(cluster, "rvt2"), 80, "it is up by its new one"
        )


def test_two_boards_of_one_uuid_are_two_nodes(cluster: Cluster) -> None:
    shared = cluster.node("rvt3").host_uuid or ""
    with host_uuid(cluster.lab.nodes[1], shared):
        wait_until(lambda: cluster.node("rvt2").host_uuid == shared, 80, "its UUID is seen")
        assert up(cluster, "rvt2") and up(cluster, "rvt3")
        assert all(cluster.create("twin", 6)), "both take clones"
        assert cluster.spread("twin") == {"rvt1": 2, "rvt2": 2, "rvt3": 2}
