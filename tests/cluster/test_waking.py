"""A host is woken by a real packet: what listens at a dead node's card starts it, as its firmware would."""

import copy
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from ravada_web.models import Cluster as ClusterRow
from ravada_web.models import Node, NodeSample, Observed, RestStep, now
from ravada_web.remote import wake
from ravada_web.remote.cards import READY
from ravada_web.services.lifecycle import host_power, rest_requests, rest_work, resting, waking
from ravada_web.services.lifecycle.resting import STEP, Wishes
from ravada_web.services.monitoring import alerts
from ravada_web.services.nodes import endpoints, nics
from ravada_web.services.nodes.history import bucket
from ravada_web.services.transaction import transaction
from tests.lab import LabNode
from tests.support.cluster import Cluster
from tests.support.factories import change
from tests.support.servers import wait_until

ETH_P_ALL = 0x0003


@contextmanager
def card_that_wakes(cluster: Cluster, node: LabNode, mac: str) -> Iterator[list[str]]:
    """A card on the lab's bridge that starts the node when a packet for its address comes by; gives who sent one."""
    heard: list[str] = []
    over = threading.Event()
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)) as ear:
        ear.bind((cluster.lab.bridge, 0))
        ear.settimeout(0.2)

        def listen() -> None:
            while not over.is_set():
                try:
                    frame = ear.recv(2000)
                except TimeoutError:
                    continue
                if wake.magic_packet(mac) in frame:
                    heard.append(socket.inet_ntoa(frame[12:16]))
                    node.start()

        thread = threading.Thread(target=listen)
        thread.start()
        try:
            yield heard
        finally:
            over.set()
            thread.join(30)


def test_a_node_that_was_killed_is_woken_and_serves_again(cluster: Cluster) -> None:
    there, beside = cluster.lab.nodes[1:3]
    cluster.let_facts_age(there.name)
    cluster.let_facts_age(beside.name)
    cluster.check_until_up(there.name)
    cluster.check_until_up(beside.name)
    nic = nics.waking(cluster.node(there.name))
    card = json.loads(there.run(["ip", "-j", "link", "show", "eth0"]).stdout)[0]["address"]
    assert nic is not None and (nic.name, nic.mac, nic.addresses) == ("eth0", card, (f"{there.address}/24",))
    cluster.flask("nodes", "maintenance", there.name)
    there.kill()
    wait_until(lambda: waking.may(cluster.node(there.name)), 60, "it is down")
    with card_that_wakes(cluster, there, nic.mac) as heard:
        cluster.flask("nodes", "wake", there.name, "--enable", "--wait")
        assert set(heard) >= {cluster.lab.host_address}, "this very host is in the lab's network"
        row = cluster.node(there.name)
        assert (row.observed, row.service_state) == (Observed.UP, "enabled")
        # Where this host is not in that network, a node that is sends it.
        with transaction() as session:
            found = nics.sender_among(session, nics.senders(session), session.merge(row), nic.addresses)
        assert found is not None
        where, to = found
        heard.clear()
        wake.send_from(endpoints.workspace(), where, nic.mac, to)
        wait_until(lambda: heard, 30, "the packet is on the network")
        assert set(heard) == {where.host}


def test_the_checks_say_that_such_a_card_cannot_wake_its_host(cluster: Cluster) -> None:
    node = cluster.lab.nodes[1]
    found = cluster.flask("nodes", "check", node.name, "--json").stdout
    (line,) = [line for line in json.loads(found) if line["code"] == "wake"]
    assert line["state"] == "warn" and "eth0" in line["text"]


@pytest.mark.clock
def test_a_node_rests_while_it_is_quiet_and_is_woken_when_a_request_finds_no_room(cluster: Cluster) -> None:
    there = cluster.lab.nodes[2]
    for node in cluster.lab.nodes:
        cluster.let_facts_age(node.name)
        cluster.check_until_up(node.name)
    before = {node.name: cluster.node(node.name).memory_reserve_mib for node in cluster.lab.nodes}
    card = nics.waking(cluster.node(there.name))
    assert card is not None
    resting.save(cluster.admin, Wishes(0, 1, 0, 0, True, frozenset({cluster.node(there.name).id}), {}))
    can_wake(cluster, there)
    knows_the_week(cluster)
    try:
        with card_that_wakes(cluster, there, card.mac) as heard:
            rest_requests.switch(cluster.admin, on=True)
            wait_until(lambda: rests_if_quiet(cluster, there), 60, "its host is off, and it rests")
            assert not alerts.summary(cluster.admin).nodes, "it is no alarm"
            asked = ("clones", "create", "linux", "--count", "9", "--prefix", "crowd", "--start")
            refusal = cluster.flask(*asked, check=False)
            assert refusal.returncode == 1, "it is refused, and said why"
            wait_until(lambda: is_needed(cluster, there), 30, "it is woken")
            wait_until(lambda: cluster.node(there.name).service_state == "enabled", 60, "it is up, and serves")
            assert heard
    finally:
        rest_requests.switch(cluster.admin, on=False)
        for name, reserve_mib in before.items():
            change(Node, Node.name == name, memory_reserve_mib=reserve_mib, may_rest=False)
            cluster.let_facts_age(name)
        wait_until(lambda: not cluster.node(there.name).rest_step, 60, "it is awake")
        cluster.check_until_up(there.name)


def can_wake(cluster: Cluster, node: LabNode) -> None:
    """The node's card can wake its host, as a real one could, and no check says otherwise meanwhile."""
    with transaction() as session:
        row = session.merge(cluster.node(node.name))
        facts = copy.deepcopy(row.facts)
        for nic in facts["host"]["nics"]:
            nic["wakes"] = READY
        row.facts, row.facts_at = facts, now() + timedelta(hours=1)


def knows_the_week(cluster: Cluster) -> None:
    """Nothing was used at these hours of the week."""
    node_id = cluster.node(cluster.lab.nodes[0].name).id
    with transaction() as session:
        for at in (now(), *(now() - timedelta(days=7) + timedelta(hours=hour) for hour in range(1, 5))):
            session.merge(NodeSample(node_id=node_id, step=STEP, at=bucket(at, STEP), cpu_load=0.0, memory_used=0.0))


def is_idle(cluster: Cluster) -> None:
    """The nodes use nothing, though they share this machine, and have next to no room: as a look in this process sees
    them, until the next checks are written."""
    for node in cluster.lab.nodes:
        total = cluster.node(node.name).memory_total_mib or 0
        change(Node, Node.name == node.name, cpu_load=0.0, memory_reserve_mib=total - 64)


def rests_if_quiet(cluster: Cluster, node: LabNode) -> bool:
    """Whether it rests; a look is made where it does not even begin to, after all those that must find it quiet. A node
    of the lab has no systemd that could shut it down: it goes off once it was asked to."""
    row = cluster.node(node.name)
    if not row.rest_step:
        is_idle(cluster)
        change(Node, rest_since=None)
        change(ClusterRow, rest_looks=rest_work.QUIET_LOOKS - 1)
        rest_work.look()
    elif row.rest_step == RestStep.GOING_OFF and node.running and is_asked(row):
        node.kill()
    return row.rest_step == RestStep.RESTING


def is_asked(row: Node) -> bool:
    """Whether its host was asked to shut down."""
    power = host_power.under_way(row)
    return power is not None and "boot" in power.result


def is_needed(cluster: Cluster, node: LabNode) -> bool:
    """Whether it is being woken, or was; a look is made where it is not."""
    if cluster.node(node.name).rest_step == RestStep.RESTING:
        is_idle(cluster)
        rest_work.look()
    return cluster.node(node.name).rest_step != RestStep.RESTING
