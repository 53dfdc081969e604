"""The file for a viewer of the user's own, on a real node: its password opens the display, made once, for a while."""

import ssl
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path

import pytest
from sqlalchemy import select

from ravada_web.cli.common import wait
from ravada_web.errors import Conflict, NotFound
from ravada_web.extensions import db
from ravada_web.hypervisor import displays
from ravada_web.hypervisor.connection import open_connection
from ravada_web.hypervisor.errors import HypervisorError
from ravada_web.models import Clone, CloneState, Node, Remains
from ravada_web.services.consoles import viewer_files
from ravada_web.services.nodes import endpoints
from ravada_web.services.transaction import transaction
from tests.browser.test_console import offer_displays
from tests.conftest import wait_healthy
from tests.lab.node import LabNode
from tests.support.certificates import make_certificate
from tests.support.cluster import Cluster
from tests.support.refusals import refused
from tests.support.servers import wait_until
from tests.support.spice import let_in

CERTIFICATES = "/etc/libvirt/spice"
QEMU_CONF = "/etc/libvirt/qemu.conf"


@pytest.fixture
def offered(cluster: Cluster) -> Iterator[Clone]:
    """A running clone of a node that offers displays at its address."""
    offer_displays(True)
    cluster.create("spice", 1, "--start")
    yield cluster.wait_state("spice", CloneState.RUNNING)[0]
    offer_displays(False)


def test_the_files_password_opens_the_display_and_no_other(cluster: Cluster, offered: Clone) -> None:
    operation = viewer_files.offer(cluster.admin, offered.id)
    wait([operation.id], 300)
    parser = ConfigParser(interpolation=None)
    parser.read_string(viewer_files.file_of(cluster.admin, offered.id, operation.id))
    found = parser["virt-viewer"]
    host, port = found["host"], int(found["port"])
    assert (found["type"], found["title"], found["delete-this-file"]) == ("spice", offered.name, "1")
    assert let_in(host, port, found["password"])
    assert not let_in(host, port, "") and not let_in(host, port, "wrong")
    with pytest.raises(NotFound):
        viewer_files.file_of(cluster.admin, offered.id, operation.id)


def test_a_node_behind_nat_is_named_by_its_address_outside(cluster: Cluster, offered: Clone) -> None:
    with transaction() as session:
        session.get_one(Node, offered.node_id).nat_address = "203.0.113.7"
    try:
        operation = viewer_files.offer(cluster.admin, offered.id)
        wait([operation.id], 300)
        parser = ConfigParser(interpolation=None)
        parser.read_string(viewer_files.file_of(cluster.admin, offered.id, operation.id))
        assert parser["virt-viewer"]["host"] == "203.0.113.7"
    finally:
        with transaction() as session:
            session.get_one(Node, offered.node_id).nat_address = ""


def test_before_a_file_is_made_nobody_gets_in_and_afterwards_it_expires(cluster: Cluster, offered: Clone) -> None:
    with open_connection(endpoints.libvirt_uri(endpoints.target(offered.node))) as connection:
        where = displays.read_displays(connection, offered.uuid)
        assert where.address == offered.node.address and where.socket
        assert not let_in(where.address, where.port, "")
        displays.admit(connection, offered.uuid, "for-a-moment", 2)
        assert let_in(where.address, where.port, "for-a-moment")
        wait_until(lambda: not let_in(where.address, where.port, "for-a-moment"), 10, "the password has expired")


def test_a_display_that_is_offered_moves_with_its_running_clone(cluster: Cluster, offered: Clone) -> None:
    """To another node's address, then to a node that offers none, and to one that does again."""
    second, third = (node.name for node in cluster.lab.nodes if node.name != offered.node.name)
    with transaction() as session:
        session.get_one(Node, cluster.node(third).id).display_address = ""
    for name in (second, third, second):
        cluster.flask("clones", "move", offered.name, name, "--live", "--wait")
        wait_until(lambda: not left(), 60, "what it has left is removed")
        (clone,) = cluster.clones("spice")
        assert (clone.node.name, clone.state) == (name, CloneState.RUNNING)
        with open_connection(endpoints.libvirt_uri(endpoints.target(clone.node))) as connection:
            where = displays.read_displays(connection, clone.uuid)
            assert where.socket and where.address == clone.node.display_address
            if name == third:
                assert (where.port, where.tls_port) == (0, 0)
                with pytest.raises(HypervisorError):
                    displays.admit(connection, clone.uuid, "for-a-while", 60)
            else:
                assert not let_in(where.address, where.port, "")
                displays.admit(connection, clone.uuid, "for-a-while", 60)
                assert let_in(where.address, where.port, "for-a-while")


def left() -> list[str]:
    db.session.rollback()
    return list(db.session.scalars(select(Remains.name)))


@pytest.fixture
def certified(cluster: Cluster, tmp_path: Path) -> Iterator[Clone]:
    """A running clone of a node that offers displays by TLS, with a certificate of its own."""
    offer_displays(True)
    (clone,) = cluster.create("tls", 1)
    node = next(node for node in cluster.lab.nodes if node.name == clone.node.name)
    certificate, key = make_certificate(tmp_path, node.address)
    node.run(["mkdir", "-p", CERTIFICATES])
    for path, name in ((certificate, "ca-cert"), (certificate, "server-cert"), (key, "server-key")):
        node.put(path, f"{CERTIFICATES}/{name}.pem")
    settings = node.run(["cat", QEMU_CONF]).stdout
    set_qemu(node, f'{settings}spice_tls = 1\nspice_tls_x509_cert_dir = "{CERTIFICATES}"\n')
    wait_healthy(cluster)
    cluster.flask("clones", "start", clone.name, "--wait")
    yield cluster.wait_state("tls", CloneState.RUNNING)[0]
    offer_displays(False)
    set_qemu(node, settings)


def set_qemu(node: LabNode, text: str) -> None:
    """Give a node's libvirt these settings of QEMU."""
    node.run(["tee", QEMU_CONF], stdin=text)
    node.restart_libvirtd()


def test_where_a_node_has_certificates_the_file_leads_to_its_encrypted_display(
    cluster: Cluster, certified: Clone
) -> None:
    operation = viewer_files.offer(cluster.admin, certified.id)
    wait([operation.id], 300)
    parser = ConfigParser(interpolation=None)
    parser.read_string(viewer_files.file_of(cluster.admin, certified.id, operation.id))
    found = parser["virt-viewer"]
    assert "port" not in found
    context = ssl.create_default_context(cadata=found["ca"].replace("\\n", "\n"))
    assert let_in(found["host"], int(found["tls-port"]), found["password"], context)
    assert not let_in(found["host"], int(found["tls-port"]), "wrong", context)


def test_nothing_else_listens_on_the_network(cluster: Cluster, offered: Clone) -> None:
    node = next(node for node in cluster.lab.nodes if node.name == offered.node.name)
    lines = node.run(["ss", "-Hltn"]).stdout.splitlines()
    open_ports = {
        line.split()[3] for line in lines if not line.split()[3].startswith(("127.", "[::1]", "192.168.122."))
    }
    assert {port.rpartition(":")[0] for port in open_ports if not port.endswith(":22")} == {node.address}
    assert len([port for port in open_ports if port.startswith(node.address)]) == 1


def test_a_node_that_offers_none_says_why(cluster: Cluster) -> None:
    (clone,) = cluster.create("none", 1)
    with refused(Conflict, "consoles.viewer_not_enabled"):
        viewer_files.offer(cluster.admin, clone.id)
