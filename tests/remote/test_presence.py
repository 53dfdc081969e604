"""What a node's address says below SSH: it takes connections, it refuses, or it is silent."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ravada_web.remote.presence import fault
from ravada_web.remote.target import Target
from tests.support.sshd import free_port

KEY = "ssh-ed25519 AAAA"


def node(port: int, host: str = "127.0.0.1") -> Target:
    return Target(7, "kvm7", host, port, "root", KEY)


def code(target: Target, seconds: float = 0.4) -> str:
    found = fault(target, seconds)
    return found.code if found else ""


def test_what_takes_connections_is_there_even_if_it_says_nothing() -> None:
    """As an sshd that hangs."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert code(node(server.getsockname()[1])) == ""


def test_what_refuses_is_alive() -> None:
    assert code(node(free_port())) == "refused"


def test_an_sshd_that_is_being_restarted_has_not_gone() -> None:
    port = free_port()
    opened: list[socket.socket] = []
    later = threading.Timer(0.5, lambda: opened.append(socket.create_server(("127.0.0.1", port))))
    later.start()
    assert code(node(port), 30) == ""
    later.join()
    opened[0].close()


def test_a_name_that_nobody_knows() -> None:
    assert code(node(22, "no-such-host.invalid")) == "unknown_address"


@contextmanager
def firewall(port: int, verdict: str) -> Iterator[None]:
    """A host whose own firewall does that with what comes to the port."""
    table = f"inet ravada_presence_{port}"
    chain = "type filter hook input priority 0;"
    rule = f"meta l4proto {{ tcp, udp }} th dport {port} {verdict}"
    rules = f"add table {table}; add chain {table} in {{ {chain} }}; add rule {table} in {rule}"
    if subprocess.run(["nft", rules], capture_output=True, check=False).returncode:
        pytest.skip("no nftables here")
    try:
        yield
    finally:
        subprocess.run(["nft", "delete", "table", *table.split()], check=True)


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("drop", "timeout"),
        ("reject with icmpx admin-prohibited", "refused"),
        ("reject with icmpx host-unreachable", "refused"),
        ("reject", "refused"),
    ],
)
def test_a_host_whose_own_firewall_says_no_is_alive_and_one_of_which_nothing_comes_is_silent(
    verdict: str, said: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with firewall(port, verdict):
            assert code(node(port), 1.1) == said
