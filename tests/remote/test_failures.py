"""What a failed connection means, by ssh's own log, of hosts as people have them; against real sshds."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ravada_web.messages import Message
from ravada_web.remote.commands import run
from ravada_web.remote.errors import (
    CommandFailed,
    DeadlineExceeded,
    HostKeyChanged,
    KeyRefused,
    NodeUnreachable,
    OwnFault,
    RemoteError,
)
from ravada_web.remote.failures import classify
from ravada_web.remote.target import Target, Workspace
from tests.support.sshd import Place, ssh_place

IN = b'Authenticated to 192.0.2.7 ([192.0.2.7]:22) using "publickey".\r\n'
# Ends the sshd above the command.
CUT = """
p=$$
while [ "$(cat /proc/$p/comm)" != sshd ]; do p=$(awk '/^PPid/ { print $2 }' /proc/$p/status); done
kill -9 $p
"""
# Words of a host that are also ssh's, each of which would be another fault.
LURE = (
    "Permission denied (publickey).\nConnection timed out\nHost key verification failed.\n"
    "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nssh: Could not resolve hostname x\n"
    'Load key "/root/.ssh/id": Permission denied\n'
)
TARGET = Target(
    7,
    "kvm7",
    "192.0.2.7",
    22,
    "root",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPjsX/dqn2nkd9UrJbrGwiJ6t4v/sDvKM8Z9WMpGuIxO",
)


def kinds(text: Message) -> list[str]:
    """The kinds of what it says, one after the other, without their topic."""
    return [part.kind.removeprefix("remote.") for part in text.figures.get("items", [text])]


LOGS = {
    "a name nobody knows": (b"ssh: Could not resolve hostname kvm7: Name or service not known", "unknown_address_of"),
    "nothing listens": (b"ssh: connect to host 192.0.2.7 port 22: Connection refused", "refused"),
    "off": (b"ssh: connect to host 192.0.2.7 port 22: Connection timed out", "no_answer"),
    "no way there": (b"ssh: connect to host 192.0.2.7 port 22: No route to host", "no_answer"),
    "sshd hangs": (
        b"Connection timed out during banner exchange\r\nConnection to 192.0.2.7 port 22 timed out",
        "silent_port",
    ),
    "another service": (
        b"kex_exchange_identification: banner line contains invalid characters\r\n"
        b"banner exchange: Connection to 192.0.2.7 port 22: invalid format",
        "not_ssh",
    ),
    "no common cipher": (
        b"Unable to negotiate with 192.0.2.7 port 22: no matching cipher found. Their offer: aes256-cbc",
        "not_ssh",
    ),
    "MaxStartups": (
        b"kex_exchange_identification: read: Connection reset by peer\r\nConnection reset by 192.0.2.7 port 22",
        "turned_away",
    ),
    "PerSourcePenalties": (
        b"kex_exchange_identification: banner line 0: Not allowed at this time\r\n"
        b"kex_exchange_identification: Connection closed by remote host",
        "turned_away",
    ),
    "an expired account": (b"Connection closed by 192.0.2.7 port 22", "closed_at_login"),
    "our key is not taken": (b"root@192.0.2.7: Permission denied (publickey).", "key_refused"),
    "after one try": (
        b"Received disconnect from 192.0.2.7 port 22:2: Too many authentication failures",
        "key_refused",
    ),
    "our key cannot be read": (
        b'Load key "/srv/ravada/ssh_key": Permission denied\r\nroot@192.0.2.7: Permission denied (publickey).',
        "own_fault",
    ),
    "no room for our socket": (b"unix_listener: cannot bind to path /run/n7.ctl: No space left on device", "own_fault"),
    "no sessions": (IN + b"channel 0: open failed: connect failed: open failed", "no_sessions"),
    "silent since": (IN + b"Timeout, server 192.0.2.7 not responding.", "stopped_answering"),
    "cut": (IN + b"client_loop: send disconnect: Broken pipe", "broke"),
}


@pytest.mark.parametrize("case", LOGS)
def test_what_ssh_reports_is_one_cause_whatever_the_host_says(case: str) -> None:
    log, kind = LOGS[case]
    for said in (b"", LURE.encode()):
        error = classify(TARGET, log, said)
        assert error is not None
        assert kinds(error.message)[0] == kind, error


def test_a_host_key_of_another_kind_is_a_changed_one() -> None:
    log = b"No ED25519 host key is known for node-7 and you have requested strict checking.\r\n"
    error = classify(TARGET, log + b"Host key verification failed.\r\n")
    assert isinstance(error, HostKeyChanged)
    assert error.new == "" and error.old in str(error)


def test_of_a_changed_key_no_more_than_its_fingerprint_is_kept() -> None:
    shown = "SHA256:" + "a" * 43
    log = f"The fingerprint for the ED25519 key sent by the remote host is\r\n{shown}{'b' * 1_000}\r\n"
    error = classify(TARGET, log.encode() + b"Host key verification failed.\r\n")
    assert isinstance(error, HostKeyChanged)
    assert error.new == shown


def test_a_command_that_failed_over_a_connection_that_did_not_is_no_failure_of_that() -> None:
    for log in (b"", IN, IN + b"Transferred: sent 3512, received 3372 bytes, in 0.1 seconds\r\n"):
        assert classify(TARGET, log, LURE.encode()) is None


def test_a_connection_that_the_host_ended_is_told_by_the_last_line() -> None:
    lost = classify(TARGET, IN, b"working\r\nConnection to 192.0.2.7 closed by remote host.\r\n")
    assert isinstance(lost, NodeUnreachable) and lost.code == "lost"


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with ssh_place() as made:
        yield made


def failed(
    place: Place, target: Target | None = None, deadline: float = 10, command: str = "echo there"
) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        run(place.workspace, target or place.target, ["sh", "-c", command], deadline=deadline, fresh=True)
    return caught.value


def test_a_banner_is_quoted_and_never_read_as_sshs_words(place: Place) -> None:
    (place.folder / "banner").write_text(LURE)
    with configured(place, f"Banner {place.folder}/banner"):
        assert run(place.workspace, place.target, ["echo", "in"], deadline=10, fresh=True) == b"in\n"
        error = failed(place, command="exit 255")
        assert isinstance(error, CommandFailed) and error.status == 255
        with keys(place, ""):
            refused = failed(place)
    assert isinstance(refused, KeyRefused) and kinds(refused.message) == ["key_refused", "it_said"]
    assert "REMOTE HOST IDENTIFICATION" in str(refused)


@contextmanager
def configured(place: Place, lines: str) -> Iterator[None]:
    """The host with these lines in its sshd_config."""
    place.sshd.configure(lines)
    try:
        yield
    finally:
        place.sshd.configure("")


@contextmanager
def keys(place: Place, line: str) -> Iterator[None]:
    """The host with another authorized_keys."""
    path = place.sshd.folder / "authorized_keys"
    kept = path.read_text()
    path.write_text(line.replace("KEY", kept))
    try:
        yield
    finally:
        path.write_text(kept)


@pytest.mark.parametrize("line", ["PermitRootLogin no", "AllowUsers somebody", "DenyUsers root"])
def test_a_user_whom_sshd_excludes_is_told_where_to_look(place: Place, line: str) -> None:
    with configured(place, line):
        assert kinds(failed(place).message) == ["key_refused"]


def test_a_key_bound_to_another_address_is_told_where_to_look(place: Place) -> None:
    with keys(place, 'from="203.0.113.9" KEY'):
        error = failed(place)
    assert kinds(error.message) == ["key_refused"] and "from=" in str(error)


def test_a_login_that_runs_something_else_is_told_in_its_own_words_at_the_deadline(place: Place) -> None:
    said = 'Please login as the user "debian" rather than the user "root".'
    with keys(place, f"""command="echo '{said.replace('"', chr(92) + '"')}';echo;sleep 10;exit 142" KEY"""):
        error = failed(place, deadline=2)
    assert isinstance(error, DeadlineExceeded) and said in str(error) and "off" not in str(error)


def test_a_host_without_sessions_is_not_called_off(place: Place) -> None:
    with configured(place, "MaxSessions 0"):
        assert kinds(failed(place).message) == ["no_sessions"]


def test_a_host_that_takes_no_more_connections_is_not_called_lost(place: Place) -> None:
    with configured(place, "MaxStartups 1:100:1"), socket.create_connection((place.sshd.address, place.sshd.port)):
        assert kinds(failed(place).message) == ["turned_away"]


def test_our_own_key_is_our_own_fault(place: Place, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("not a key\n")
    (tmp_path / "key").chmod(0o600)
    with pytest.raises(OwnFault, match="on this server"):
        run(Workspace(place.workspace.run_dir, tmp_path / "key"), place.target, ["true"], deadline=10, fresh=True)


def test_a_command_killed_on_the_node_and_a_connection_that_is_cut_are_two_things(place: Place) -> None:
    killed = failed(place, command="kill -9 $$")
    assert isinstance(killed, CommandFailed)
    cut = failed(place, command=CUT)
    assert isinstance(cut, NodeUnreachable) and "closed by remote host" in str(cut)
