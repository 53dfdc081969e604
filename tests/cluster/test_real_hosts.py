"""Hosts that boot systemd, a Debian 12 and a bare Debian 13, in one cluster with nodes of the lab: joined, given work,
rebooted, switched off and killed."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from ravada_web.extensions import db, queues
from ravada_web.models import Base, Clone, CloneState, Node, Observed, Remains, now
from ravada_web.models.node.away import Away
from ravada_web.services.bases import actions as base_actions
from ravada_web.services.lifecycle import removal
from ravada_web.services.moves import requests as move_requests
from ravada_web.services.nodes.endpoints import public_key
from ravada_web.services.transaction import transaction
from tests.conftest import wait_healthy
from tests.lab.booted import BootedHost
from tests.lab.keyboard import typed
from tests.lab.screen import read_screen, screenshot
from tests.lab.trees import DEBIAN_12, debian_13
from tests.support.cluster import GUEST, IMAGES, Cluster, allow, ended, make_base
from tests.support.servers import wait_until

BLANK = f"{IMAGES}/nothing.qcow2"
GUESTS = "etc/default/libvirt-guests"


@pytest.fixture(scope="module")
def hosts(whole_cluster: Cluster) -> Iterator[list[BootedHost]]:
    """Debian 12 with libvirt and a bare Debian 13, both booted and no nodes yet; in the end they are none any more."""
    cluster = whole_cluster
    made = [BootedHost.beside(cluster.lab, number, tree) for number, tree in ((12, DEBIAN_12), (13, debian_13()))]
    try:
        for host in made:
            host.make()
            host.authorize(public_key())
            host.start()
        # Guests with nothing but firmware do not heed the power button: this host does not wait for them for long.
        (made[0].folder / GUESTS).write_text("SHUTDOWN_TIMEOUT=5\nPARALLEL_SHUTDOWN=10\n")
        # This one waits for each, for 300 s as Debian has it, and starts those again that ran.
        (made[1].folder / GUESTS).write_text("ON_BOOT=start\n")
        for host in made:
            host.wait_booted()
        yield made
        queues.init_app(cluster.app)
        leave(cluster, made)
    finally:
        for host in made:
            host.kill()
            host.purge()


def leave(cluster: Cluster, made: list[BootedHost]) -> None:
    """Take away the bases, and the hosts' nodes."""
    wait_healthy(cluster)
    for name in ("nothing", "marked"):
        base = db.session.scalars(select(Base).where(Base.name == name)).one()
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
    base_id = make_base(cluster, "nothing", [BLANK], [node.name, *(host.name for host in hosts)])
    cluster.create("mixed", 6, "--start", base="nothing")
    cluster.wait_state("mixed", CloneState.RUNNING, 120)
    spread = Counter(clone.node.name for clone in cluster.clones("mixed"))
    assert spread == dict.fromkeys([node.name, debian_12.name, bare.name], 2)
    for host in hosts:
        assert len(running(host)) == 2

    it_is_itself_with_another_uuid(cluster, debian_12)
    cluster.remove_made()
    # Of what follows, each is the only one that can take the other's place.
    allow(cluster, base_id, [host.name for host in hosts])
    it_moves_while_it_runs(cluster, hosts)


def it_moves_while_it_runs(cluster: Cluster, hosts: list[BootedHost]) -> None:
    """From either generation of libvirt and QEMU to the other, whose guests run as a user of their own."""
    (rover,) = cluster.create("rover", 1, "--start", base="nothing")
    cluster.wait_state("rover", CloneState.RUNNING, 120)
    for _way in range(2):
        to = next(host for host in hosts if host.name != again(rover).node.name)
        begun = move_requests.request_move(cluster.admin, rover.id, cluster.node(to.name).id, live=True)
        done = ended(begun.id)
        assert (done.state, done.error.kind) == ("done", ""), done.error
        assert (again(rover).node.name, again(rover).state) == (to.name, CloneState.RUNNING)
        wait_until(nothing_left, 60, "what it has left is removed")
        assert [host.name for host in hosts if rover.name in host.virsh("list", "--all", "--name")] == [to.name]
        for host in hosts:
            assert host.run(["sh", "-c", "ls -d /run/libvirt/ravada-move-* || :"]).stdout == ""
    cluster.remove_made()


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_host_that_reboots_and_waits_for_its_guests(cluster: Cluster, hosts: list[BootedHost]) -> None:
    """It refuses, its guests run on, and nothing is begun elsewhere before its time. Then it starts them all by itself,
    also one that was made again meanwhile."""
    debian_12, rebooted = hosts
    double, kept = one_of_each(cluster, rebooted, "boot")
    assert machine(rebooted, double.name) == newest_of_both(hosts)
    rebooted.virsh("autostart", double.name)
    former = double.uuid
    rebooted.run(["systemctl", "reboot", "--no-block"])
    wait_until(lambda: not cluster.node(rebooted.name).is_reachable, 60, "it is given nothing more")
    wait_until(lambda: cluster.node(rebooted.name).away == Away.REFUSES, 120, "it refuses")
    assert {former, kept.uuid} <= running_uuids(rebooted), "it waits for guests that do not heed the power button"
    assert cluster.flask("clones", "start", kept.name, check=False).returncode
    assert cluster.flask("nodes", "off", rebooted.name, "--yes", check=False).returncode
    assert [(row.node.name, row.state) for row in (again(double), again(kept))] == [
        (rebooted.name, CloneState.UNREACHABLE)
    ] * 2

    its_grace_is_over(cluster, rebooted)
    runs_on(cluster, double, debian_12)
    assert machine(debian_12, double.name) == newest_of_both(hosts) != newest_machine(rebooted)
    assert (again(kept).node.name, again(kept).state) == (rebooted.name, CloneState.UNREACHABLE)
    assert former in running_uuids(rebooted) and former not in running_uuids(debian_12)

    for uuid in running_uuids(rebooted):
        rebooted.virsh("destroy", uuid)
    wait_until(lambda: is_up(cluster, rebooted), 180, "it has rebooted, and is seen so")
    assert former not in rebooted.virsh("list", "--all", "--uuid")
    rebooted.wait_booted()
    wait_until(lambda: running_uuids(rebooted) == {kept.uuid}, 60, "the host has started what is still there")
    wait_until(lambda: again(kept).state == CloneState.RUNNING, 60, "and that is seen")
    assert (again(double).node.name, again(double).state) == (debian_12.name, CloneState.RUNNING)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_desktops_of_one_debian_are_made_again_on_the_other(cluster: Cluster, hosts: list[BootedHost]) -> None:
    """Switched off, and killed; what must wait is there again as it was."""
    debian_12, debian_13 = hosts
    both = newest_of_both(hosts)
    make_base(cluster, "marked", [GUEST], [debian_12.name])
    (kept,) = cluster.create("mark", 1, "--start", base="marked")
    moved, _other = one_of_each(cluster, debian_12, "power")
    mark = leave_a_mark(debian_12, kept)

    debian_12.switch_off()
    wait_until(lambda: not debian_12.running, 120, "its power is off")
    runs_on(cluster, moved, debian_13)
    assert machine(debian_13, moved.name) == both
    assert (again(kept).node.name, again(kept).state) == (debian_12.name, CloneState.UNREACHABLE)

    debian_12.start()
    wait_until(lambda: is_up(cluster, debian_12) and again(kept).state == CloneState.STOPPED, 120, "it is back")
    assert mark(), "what was written in the desktop is there"
    assert moved.name not in debian_12.virsh("list", "--all", "--name").split()

    debian_13.kill()
    runs_on(cluster, moved, debian_12)
    assert machine(debian_12, moved.name) == both
    cluster.flask("clones", "start", kept.name, "--wait")
    assert mark()
    debian_13.start()
    wait_until(lambda: is_up(cluster, debian_13), 120, "it is back")
    assert moved.name not in debian_13.virsh("list", "--all", "--name").split()
    it_is_restarted_and_shut_down_from_here(cluster, debian_13)


def nothing_left() -> bool:
    db.session.rollback()
    return db.session.scalar(select(Remains.id)) is None


def it_is_restarted_and_shut_down_from_here(cluster: Cluster, host: BootedHost) -> None:
    """By the product: enabled again after a restart, in maintenance while it is off."""
    before = host.run(["stat", "-c", "%Y", "/proc/1"]).stdout
    cluster.flask("nodes", "restart", host.name)
    assert host.run(["stat", "-c", "%Y", "/proc/1"]).stdout != before
    assert cluster.node(host.name).service_state == "enabled"
    cluster.flask("nodes", "shut-down", host.name)
    wait_until(lambda: not host.running, 30, "its power is off")
    assert cluster.node(host.name).service_state == "maintenance"
    host.start()
    cluster.flask("nodes", "enable", host.name)
    wait_until(lambda: is_up(cluster, host), 120, "it is back")


def one_of_each(cluster: Cluster, host: BootedHost, prefix: str) -> tuple[Clone, Clone]:
    """A volatile and a persistent desktop there, both running; none of their guests heeds the power button."""
    found = []
    for name, options in ((f"{prefix}v", ["--volatile"]), (f"{prefix}p", [])):
        rows = cluster.create(name, 2, *options, "--start", base="nothing")
        found += [row for row in rows if row.node.name == host.name]
        cluster.wait_state(name, CloneState.RUNNING, 120)
    volatile, persistent = found
    return volatile, persistent


def again(clone: Clone) -> Clone:
    """The clone, read anew."""
    db.session.rollback()
    return db.session.get_one(Clone, clone.id)


def its_grace_is_over(cluster: Cluster, host: BootedHost) -> None:
    """As if it had refused for long."""
    long_ago = now() - timedelta(seconds=cluster.settings.remake_grace)
    with transaction() as session:
        session.execute(update(Node).where(Node.name == host.name).values(observed_at=long_ago))


def runs_on(cluster: Cluster, clone: Clone, host: BootedHost) -> None:
    """Wait until it was made again there."""

    def does() -> bool:
        row = again(clone)
        return (row.node.name, row.state) == (host.name, CloneState.RUNNING)

    wait_until(does, 120, f"{clone.name} runs on {host.name}")
    assert again(clone).uuid in running_uuids(host)


def leave_a_mark(host: BootedHost, clone: Clone) -> Callable[[], bool]:
    """Have the guest write what only it has to the end of its disk; returns whether that is there."""
    wait_until(lambda: f"name: {clone.name}" in read_screen(screenshot(host, clone.name)), 120, "it has booted")
    disk = f"{IMAGES}/{clone.disk_file('vda')}"
    size = json.loads(host.run(["qemu-img", "info", "-U", "--output=json", disk]).stdout)["virtual-size"]
    place = size // 4096 - 16

    def is_there() -> bool:
        read = ["qemu-io", "-r", "-U", "-f", "qcow2", "-c", f"read -v {place * 4096} 16", disk]
        return b"#!/bin/busybox s".hex(" ") in host.run(read).stdout

    def write() -> bool:
        typed(host, clone.name, f"dd if=/init of=/dev/vda bs=4096 seek={place} conv=fsync")
        with suppress(AssertionError):
            wait_until(is_there, 10, "it was written")
        return is_there()

    assert not is_there()
    wait_until(write, 60, "the guest has written its mark")
    return is_there


def version(host: BootedHost) -> int:
    """The generation of a host's libvirt."""
    return int(host.run(["libvirtd", "--version"]).stdout.split()[-1].split(".")[0])


def machine(host: BootedHost, name: str) -> str:
    """The machine type that a domain has there."""
    return re.findall(r"machine='([^']+)'", host.virsh("dumpxml", name))[0]


def newest_machine(host: BootedHost) -> str:
    """The newest of its family that the host's QEMU has."""
    return re.findall(r"canonical='([^']+)'[^>]*>q35<", host.virsh("capabilities"))[0]


def newest_of_both(hosts: list[BootedHost]) -> str:
    """The machine type that desktops have on both Debians: the newest of the older one."""
    return newest_machine(hosts[0])


def is_up(cluster: Cluster, host: BootedHost) -> bool:
    node = cluster.node(host.name)
    return node.observed == Observed.UP and not node.away and not node.returning


def running(host: BootedHost) -> list[str]:
    return host.virsh("list", "--name").split()


def running_uuids(host: BootedHost) -> set[str]:
    return set(host.virsh("list", "--uuid").split())


def states(cluster: Cluster, host: BootedHost) -> set[str]:
    return {clone.state for clone in cluster.clones("mixed") if clone.node.name == host.name}


def host_uuid(host: BootedHost) -> str:
    return host.virsh("capabilities").partition("<uuid>")[2].partition("<")[0]


def it_is_itself_with_another_uuid(cluster: Cluster, host: BootedHost) -> None:
    """Its libvirt has another host UUID at each start, and it is the same node all the same: with its guests running
    where libvirt alone was started anew, and after a reboot, when they are off."""
    first, before = host_uuid(host), sorted(running(host))
    host.run(["systemctl", "restart", "libvirtd"])
    second = host_uuid(host)
    assert second != first
    wait_until(lambda: cluster.node(host.name).host_uuid == second, 60, "the new one is noted")
    wait_until(lambda: is_up(cluster, host) and states(cluster, host) == {"running"}, 60, "all is as before")
    assert sorted(running(host)) == before
    host.reboot()
    host.wait_booted()
    wait_until(lambda: is_up(cluster, host) and states(cluster, host) == {"stopped"}, 120, "it is back, its guests off")
    assert host_uuid(host) not in (first, second)
    mine = [clone.name for clone in cluster.clones("mixed") if clone.node.name == host.name]
    cluster.flask("clones", "start", *mine, "--wait")
    assert sorted(running(host)) == sorted(mine)
