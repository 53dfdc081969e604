"""A host is woken by a real packet: what listens at a dead node's card starts it, as its firmware would."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from ravada_web.models import Observed
from ravada_web.remote import wake
from ravada_web.services.lifecycle import waking
from ravada_web.services.nodes import endpoints, nics
from ravada_web.services.transaction import transaction
from tests.lab import LabNode
from tests.support.cluster import Cluster
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
