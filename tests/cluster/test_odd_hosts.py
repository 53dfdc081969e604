"""Hosts as people have them, on the lab: each is well, or degraded with its own cause; no other node suffers."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from uuid import uuid4

import pytest
from sqlalchemy import update

from ravada_web.cli.common import wait
from ravada_web.errors import RavadaError
from ravada_web.extensions import db
from ravada_web.models import Node, Observed, Trust
from ravada_web.remote.commands import run
from ravada_web.remote.errors import HostKeyChanged, KeyRefused
from ravada_web.remote.links import link_is_up
from ravada_web.remote.login import examine_login, key_command
from ravada_web.services.joining import inspection
from ravada_web.services.joining.checks.findings import Finding, findings_of
from ravada_web.services.nodes import endpoints
from ravada_web.services.transaction import transaction
from tests.lab import LabNode
from tests.support.cluster import Cluster
from tests.support.servers import wait_until

END_SESSIONS = "pkill -f '^sshd: root'; exit 0"
STOP_LIBVIRTD = """
kill $(cat /run/libvirtd.pid)
while [ -e /run/libvirtd.pid ]; do sleep 0.05; done
rm -f /run/libvirt/libvirt-sock
"""
# A daemon of that name whose sockets are at another place, as on a host of modular daemons without their proxy.
VIRTQEMUD = """
mkdir -p /run/modular && cp /usr/sbin/libvirtd /run/modular/virtqemud
printf 'unix_sock_dir = "/run/modular"\nauth_unix_rw = "none"\n' > /run/modular/conf
/run/modular/virtqemud -d -f /run/modular/conf -p /run/modular/pid
"""
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


@contextmanager
def sshd_with(node: LabNode, lines: str) -> Iterator[None]:
    """The node with these lines first in its sshd_config, and all sessions begun anew."""
    conf = node.folder / "etc/ssh/sshd_config"
    kept = conf.read_text()
    try:
        conf.write_text(f"{lines}\n{kept}")
        node.run(["sh", "-c", f"kill -HUP 1; {END_SESSIONS}"])
        node.wait_ready()
        yield
    finally:
        conf.write_text(kept)
        node.run(["kill", "-HUP", "1"])
        node.wait_ready()


@contextmanager
def without_libvirtd(node: LabNode, instead: str = "") -> Iterator[None]:
    """The node with its libvirtd stopped, and another daemon in its place."""
    node.run(["sh", "-c", STOP_LIBVIRTD])
    try:
        node.run(["sh", "-c", instead])
        yield
    finally:
        node.run(["sh", "-c", "pkill -x virtqemud; exit 0"])
        node.run(["libvirtd", "-d"])


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

        def is_quarantined() -> bool:
            with pytest.raises(HostKeyChanged):
                run(endpoints.workspace(), where, ["true"], deadline=5, fresh=True)
            return cluster.node("rvt2").trust == Trust.CHANGED

        wait_until(is_quarantined, 15, "it is quarantined, at the next connection where the database was busy")
        wait_until(lambda: not link_is_up(endpoints.workspace(), where), 3, "its link is closed")
    finally:
        for path, content in kept.items():
            path.write_bytes(content)
        lab_node.run(["sh", "-c", "kill -HUP 1"])
    wait_until(lambda: up(cluster, "rvt2"), 30, "it shows the pinned key again, and is up")


def test_a_new_host_uuid_under_the_pinned_key_is_kept(cluster: Cluster) -> None:
    fresh = str(uuid4())
    with host_uuid(cluster.lab.nodes[1], fresh):
        cluster.let_facts_age("rvt2")
        wait_until(
            lambda: cluster.node("rvt2").host_uuid == fresh and up(cluster, "rvt2"), 80, "it is up by its new one"
        )


def test_two_boards_of_one_uuid_are_two_nodes(cluster: Cluster) -> None:
    shared = cluster.node("rvt3").host_uuid or ""
    with host_uuid(cluster.lab.nodes[1], shared):
        cluster.let_facts_age("rvt2")
        wait_until(lambda: cluster.node("rvt2").host_uuid == shared, 80, "its UUID is seen")
        assert up(cluster, "rvt2") and up(cluster, "rvt3")
        assert all(cluster.create("twin", 6)), "both take clones"
        assert cluster.spread("twin") == {"rvt1": 2, "rvt2": 2, "rvt3": 2}


def reason_is(cluster: Cluster, kind: str) -> None:
    wait_until(lambda: cluster.node("rvt2").reason.kind == kind, 30, f"{kind}, not {cluster.node('rvt2').reason}")


def finding(cluster: Cluster, code: str) -> Finding:
    """What an inspection made now finds."""
    wait([inspection.request_inspection(cluster.admin, cluster.node("rvt2")).id], 60)
    return next(item for item in findings_of(cluster.node("rvt2")) if item.code == code)


def test_an_sshd_that_does_not_forward_is_named_and_the_node_is_up_once_it_does(cluster: Cluster) -> None:
    for line in ("DisableForwarding yes", "AllowTcpForwarding no", "AllowStreamLocalForwarding no"):
        with sshd_with(cluster.lab.nodes[1], line):
            reason_is(cluster, "nodes.no_forwarding")
            found = finding(cluster, "libvirt")
            assert found.text.kind == "joining.libvirt_no_forwarding" and "libvirtd" not in found.remedy, line
            assert up(cluster, "rvt3"), "no other node suffers"
    cluster.check_until_up("rvt2")


@pytest.mark.parametrize("lines", ["MaxSessions 1", "Banner /etc/hosts", "AllowTcpForwarding local"])
def test_a_node_is_well_by_sshds_that_are_a_little_strict(cluster: Cluster, lines: str) -> None:
    with sshd_with(cluster.lab.nodes[1], lines):
        cluster.check_until_up("rvt2")
        assert finding(cluster, "libvirt").state == "pass"


def test_a_stopped_libvirt_is_told_as_such(cluster: Cluster) -> None:
    with without_libvirtd(cluster.lab.nodes[1]):
        reason_is(cluster, "nodes.libvirt_stopped")
        assert finding(cluster, "libvirt").text.kind == "joining.libvirt_stopped"
    cluster.check_until_up("rvt2")


def test_no_second_libvirt_is_started_beside_modular_daemons(cluster: Cluster) -> None:
    with without_libvirtd(cluster.lab.nodes[1], VIRTQEMUD):
        reason_is(cluster, "nodes.libvirt_modular")
        found = finding(cluster, "libvirt")
        assert found.text.kind == "joining.libvirt_modular" and "libvirtd" not in found.remedy
    cluster.check_until_up("rvt2")


def test_sudo_that_wants_a_terminal_is_told_in_its_words_with_its_own_remedy(cluster: Cluster) -> None:
    node = cluster.lab.nodes[1]
    node.add_user("strict", "a password of its own", sudo=True)
    (node.folder / "etc/sudoers.d/strict").write_text("Defaults:strict requiretty\nstrict ALL=(ALL) NOPASSWD: ALL\n")
    install = key_command(endpoints.public_key(), "")
    node.run(["su", "strict", "-c", install])
    where = replace(endpoints.target(cluster.node("rvt2")), user="strict")
    with pytest.raises(KeyRefused, match="must have a tty") as caught:
        examine_login(endpoints.workspace(), where, deadline=10)
    node.run(["sh", "-c", caught.value.message.figures["command"]])
    assert examine_login(endpoints.workspace(), where, deadline=10).power == "sudo"


SAID = 'Please login as the user "debian" rather than the user "root".'
CLOUD_INIT = f"""command="echo '{SAID.replace('"', chr(92) + '"')}';echo;sleep 10;exit 142" """
# The file that makes it so, what is put in place of what, and what the host says then.
LOGINS = {
    "cloud-init's": ("root/.ssh/authorized_keys", "ssh-", f"{CLOUD_INIT}ssh-", SAID),
}


@pytest.mark.parametrize("case", LOGINS)
def test_a_login_that_runs_no_command_is_told_in_the_hosts_own_words(cluster: Cluster, case: str) -> None:
    name, before, after, said = LOGINS[case]
    node = cluster.lab.nodes[1]
    file = node.folder / name
    kept = file.read_text()
    assert before in kept
    try:
        file.write_text(kept.replace(before, after))
        node.run(["sh", "-c", END_SESSIONS])
        wait_until(lambda: said in str(cluster.node("rvt2").reason), 40, f"{said}, not {cluster.node('rvt2').reason}")
        assert not up(cluster, "rvt2") and up(cluster, "rvt3")
        asked = inspection.request_inspection(cluster.admin, cluster.node("rvt2"))
        with pytest.raises(RavadaError, match=re.escape(said)):
            wait([asked.id], 300)
    finally:
        file.write_text(kept)
    cluster.check_until_up("rvt2")
