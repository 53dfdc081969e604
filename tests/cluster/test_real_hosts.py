"""Hosts that boot systemd, a Debian 12 and a bare Debian 13, in one cluster with nodes of the lab: joined, given work,
rebooted and switched off."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import Base, CloneState, Observed
from ravada_web.models.node.away import Away
from ravada_web.services.bases import actions as base_actions
from ravada_web.services.lifecycle import removal
from ravada_web.services.nodes.endpoints import public_key
from tests.lab.booted import BootedHost
from tests.lab.trees import DEBIAN_12, debian_13
from tests.support.cluster import IMAGES, Cluster, make_base
from tests.support.servers import wait_until

BLANK = f"{IMAGES}/nothing.qcow2"


@pytest.fixture
def hosts(cluster: Cluster) -> Iterator[list[BootedHost]]:
    """Debian 12 with libvirt and a bare Debian 13, both booted and no nodes yet; in the end they are none any more."""
    made = [BootedHost.beside(cluster.lab, number, tree) for number, tree in ((12, DEBIAN_12), (13, debian_13()))]
    try:
        for host in made:
            host.make()
            host.authorize(public_key())
            host.start()
        # Guests with nothing but firmware do not heed the power button: this host does not wait for them for long.
        (made[0].folder / "etc/default/libvirt-guests").write_text("SHUTDOWN_TIMEOUT=5\nPARALLEL_SHUTDOWN=10\n")
        for host in made:
            host.wait_booted()
        yield made
        leave(cluster, made)
    finally:
        for host in made:
            host.kill()
            host.purge()


def leave(cluster: Cluster, made: list[BootedHost]) -> None:
    """Take away what stands on the hosts, and their nodes."""
    cluster.remove_made()
    base = db.session.scalars(select(Base).where(Base.name == "nothing")).one()
    base_actions.allow(cluster.admin, base, set())
    cluster.wait_operations()
    base_actions.remove(cluster.admin, cluster.base(base.id))
    cluster.wait_operations()
    for host in made:
        removal.remove(cluster.admin, cluster.node(host.name))


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_cluster_of_two_debians(cluster: Cluster, hosts: list[BootedHost], tmp_path: Path) -> None:
    debian_12, bare = hosts
    assert bare.run(["which", "libvirtd"], check=False).returncode
    listed = tmp_path / "hosts"
    listed.write_text("".join(f"{host.name} {host.address} {host.host_key_fingerprint}\n" for host in hosts))
    cluster.flask("nodes", "join", "--file", str(listed), "--install")
    for host in hosts:
        wait_until(lambda host=host: is_up(cluster, host), 120, f"{host.name} is up")
    assert (version(debian_12), version(bare)) == (9, 11)

    node = cluster.lab.nodes[0]
    node.run(["qemu-img", "create", "-q", "-f", "qcow2", BLANK, "8M"])
    make_base(cluster, "nothing", [BLANK], [node.name, *(host.name for host in hosts)])
    cluster.create("mixed", 6, "--start", base="nothing")
    cluster.wait_state("mixed", CloneState.RUNNING, 120)
    spread = Counter(clone.node.name for clone in cluster.clones("mixed"))
    assert spread == dict.fromkeys([node.name, debian_12.name, bare.name], 2)
    for host in hosts:
        assert len(running(host)) == 2

    it_is_itself_after_a_reboot(cluster, debian_12)
    while_it_shuts_down_its_guests_run_on(cluster, bare)


def version(host: BootedHost) -> int:
    """The generation of a host's libvirt."""
    return int(host.run(["libvirtd", "--version"]).stdout.split()[-1].split(".")[0])


def is_up(cluster: Cluster, host: BootedHost) -> bool:
    node = cluster.node(host.name)
    return node.observed == Observed.UP and not node.away and not node.returning


def running(host: BootedHost) -> list[str]:
    return host.virsh("list", "--name").split()


def states(cluster: Cluster, host: BootedHost) -> set[str]:
    return {clone.state for clone in cluster.clones("mixed") if clone.node.name == host.name}


def host_uuid(host: BootedHost) -> str:
    return host.virsh("capabilities").partition("<uuid>")[2].partition("<")[0]


def it_is_itself_after_a_reboot(cluster: Cluster, host: BootedHost) -> None:
    """Its guests are off, its libvirt has another host UUID, and it is the same node all the same."""
    before = host_uuid(host)
    host.reboot()
    host.wait_booted()
    wait_until(lambda: is_up(cluster, host) and states(cluster, host) == {"stopped"}, 120, "it is back, its guests off")
    assert host_uuid(host) != before
    mine = [clone.name for clone in cluster.clones("mixed") if clone.node.name == host.name]
    cluster.flask("clones", "start", *mine, "--wait")
    assert sorted(running(host)) == sorted(mine)


def while_it_shuts_down_its_guests_run_on(cluster: Cluster, host: BootedHost) -> None:
    """A host that is shut down refuses first; that its guests are off is known only when it is back."""
    guests = running(host)
    host.switch_off()
    wait_until(lambda: not cluster.node(host.name).is_reachable, 60, "it is given nothing more")
    wait_until(lambda: cluster.node(host.name).away == Away.REFUSES, 120, "it refuses")
    assert running(host) == guests, "the host waits for guests that do not heed the power button"
    host.kill()
    wait_until(lambda: cluster.node(host.name).away == Away.SILENT, 120, "it is silent")
    host.start()
    wait_until(lambda: is_up(cluster, host) and states(cluster, host) == {"stopped"}, 120, "it is back, its guests off")
