"""Host keys and logins, against a real sshd and against what is none."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ravada_web.remote.errors import HostKeyChanged, KeyRefused, NodeUnreachable
from ravada_web.remote.keys import ensure_keypair
from ravada_web.remote.login import examine_login
from ravada_web.remote.ssh import fingerprint_of
from ravada_web.remote.target import Workspace
from ravada_web.remote.trust import fetch_host_key
from tests.support.sshd import Place, free_port, ssh_place, start_sshd


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with ssh_place() as made:
        yield made


@contextmanager
def listener(serve: Callable[[socket.socket], None]) -> Iterator[int]:
    """A port where each connection is served so; yields its number."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        kept: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    connection, _address = server.accept()
                except OSError:
                    return
                kept.append(connection)
                serve(connection)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in kept:
                connection.close()


def code_of(port: int, host: str = "127.0.0.1", deadline: float = 5.0) -> str:
    with pytest.raises(NodeUnreachable) as caught:
        fetch_host_key(host, port, deadline)
    assert str(port) in str(caught.value) or host in str(caught.value)
    return caught.value.code


def test_the_key_read_is_the_hosts(place: Place) -> None:
    key = fetch_host_key(place.sshd.address, place.sshd.port)
    assert key.line == place.sshd.host_key_line
    assert key.fingerprint == place.sshd.fingerprint
    assert fingerprint_of(key.line) == key.fingerprint


def test_an_unknown_address() -> None:
    assert code_of(22, "no-such-host.invalid") == "unknown_address"


def test_a_refused_port() -> None:
    assert code_of(free_port()) == "refused"


def test_a_listener_that_is_not_ssh() -> None:
    with listener(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as port:
        assert code_of(port) == "not_ssh"


def test_a_listener_that_hangs_up() -> None:
    with listener(lambda connection: connection.shutdown(socket.SHUT_RDWR)) as port:
        assert code_of(port) == "not_ssh"


def test_a_listener_that_speaks_like_ssh_and_then_hangs_up() -> None:
    def serve(connection: socket.socket) -> None:
        connection.sendall(b"SSH-2.0-half\r\n")
        connection.shutdown(socket.SHUT_RDWR)

    with listener(serve) as port:
        assert code_of(port) == "not_ssh"


def test_a_listener_that_never_speaks() -> None:
    with listener(lambda connection: None) as port:
        assert code_of(port, deadline=0.3) == "timeout"


def test_the_pinned_key_lets_us_in_and_we_learn_who_we_are(place: Place) -> None:
    login = examine_login(place.workspace, place.target, 10)
    assert (login.power, login.source) == ("root", "127.0.0.1")


def test_a_changed_host_key_is_told_with_both_fingerprints(place: Place, tmp_path: Path) -> None:
    other = start_sshd(tmp_path / "other")
    try:
        with pytest.raises(HostKeyChanged) as caught:
            examine_login(place.workspace, replace(place.target, port=other.port), 10)
    finally:
        other.stop()
    assert caught.value.old == place.sshd.fingerprint
    assert caught.value.new == other.fingerprint


def test_a_key_that_the_host_does_not_know_is_refused(place: Place, tmp_path: Path) -> None:
    ensure_keypair(tmp_path / "unknown")
    with pytest.raises(KeyRefused, match="kvm7 answers, but does not accept our key for user root"):
        examine_login(Workspace(place.workspace.run_dir, tmp_path / "unknown"), place.target, 10)


def test_a_login_at_a_port_that_refuses(place: Place) -> None:
    with pytest.raises(NodeUnreachable) as caught:
        examine_login(place.workspace, replace(place.target, port=free_port()), 10)
    assert caught.value.code == "refused"


def test_a_login_at_a_listener_that_never_speaks(place: Place) -> None:
    with listener(lambda connection: None) as port, pytest.raises(NodeUnreachable) as caught:
        examine_login(place.workspace, replace(place.target, port=port), 0.5)
    assert caught.value.code == "timeout"


def test_a_login_at_a_listener_that_is_not_ssh(place: Place) -> None:
    with listener(lambda connection: connection.sendall(b"* OK IMAP4\r\n" * 2000)) as port:
        target = replace(place.target, port=port)
        with pytest.raises(NodeUnreachable, match="not an SSH server") as caught:
            examine_login(place.workspace, target, 10)
    assert caught.value.code == "not_ssh"
