"""The firewall is judged by what answers; its rules are tried first, and go by themselves."""

import shutil
import socket
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ravada_web.remote.reach import reachable
from ravada_web.remote.survey import Listener
from ravada_web.services.joining.checks import firewall, firewall_rules
from ravada_web.services.joining.checks.findings import Seen
from tests.services.joining.test_checks import DEBIAN, SEEN
from tests.support.servers import wait_until


def seen(*ports: int, closed: bool, tool: str = "nft") -> Seen:
    """A host on which these ports answer; a PostgreSQL listens there in any case."""
    listeners = (Listener("0.0.0.0", 22, "sshd"), Listener("0.0.0.0", 5432, "postgres"))  # noqa: S104  as ss has it
    survey = replace(DEBIAN, listeners=listeners, closed=closed, firewall=tool)
    return replace(SEEN, reachable=frozenset(ports), survey=survey)


@pytest.mark.parametrize("tool", ["nft", "ufw", "firewalld"])
def test_an_open_database_is_told_whatever_the_rules_say(tool: str) -> None:
    found = firewall.firewall(seen(22, 5432, closed=True, tool=tool))
    assert found.state == "warn" and "5432 (postgres)" in str(found.text) and found.remedy
    assert firewall.firewall(seen(22, closed=True, tool=tool)).state == "pass"


def test_what_the_host_does_not_tell_of_is_told_by_its_name() -> None:
    found = firewall.firewall(seen(22, 5900, 16509, closed=True))
    assert found.state == "warn" and "5900 (VNC)" in str(found.text) and "16509 (libvirtd)" in str(found.text)


def test_what_listens_and_cannot_be_reached_is_not_called_open() -> None:
    found = firewall.firewall(seen(22, closed=False))
    assert found.state == "warn" and "5432" not in str(found.text) and "22 (sshd)" in str(found.text)


def test_ports_that_answer_are_found_by_connecting() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as open_one, closing(socket.socket()) as bound:
        bound.bind(("127.0.0.1", 0))
        ports = open_one.getsockname()[1], bound.getsockname()[1]
        assert reachable("127.0.0.1", ports) & {*ports} == {ports[0]}
    assert reachable("a" * 70 + ".example", [22]) == frozenset()


@pytest.mark.parametrize("tool", ["", "nft", "ufw", "firewalld"])
@pytest.mark.parametrize("source", ["192.0.2.1", "2001:db8::1"])
def test_rules_are_shell_that_is_tried_first(tool: str, source: str) -> None:
    command = firewall_rules.rules(tool, source, 2222)
    subprocess.run(["sh", "-n", "-c", command], check=True)
    assert source in command and "2222" in command and f"left={firewall_rules.TRIAL_SECONDS}" in command


@pytest.mark.parametrize("source", ["192.0.2.1", "2001:db8::1"])
def test_nft_takes_the_rules_and_guests_reach_dns_and_dhcp_alone(source: str) -> None:
    rules = firewall_rules.table(source, 22)
    guests = [line for line in rules.splitlines() if "virbr" in line]
    assert [line.split()[-1] for line in guests] == ["accept", "accept", "drop"]
    assert "53, 67" in guests[0] and "dport 53 " in guests[1] and rules.index(guests[2]) < rules.index(source)
    nft = shutil.which("nft", path="/usr/sbin:/usr/bin")
    if nft is None:
        pytest.skip("nft is not installed (apt install nftables)")
    command = ["unshare", "--user", "--map-root-user", "--net", nft, "-c", "-f", "-"]
    subprocess.run(command, input=rules, text=True, check=True)


@pytest.mark.parametrize("kept", [True, False])
def test_a_trial_ends_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool) -> None:
    in_force, permanent, confirmed = tmp_path / "in force", tmp_path / "permanent", tmp_path / "kept"
    monkeypatch.setattr(firewall_rules, "LOCK", str(tmp_path / "lock"))
    monkeypatch.setattr(firewall_rules, "KEPT", str(confirmed))
    monkeypatch.setattr(firewall_rules, "TRIAL_SECONDS", 60 if kept else 1)
    command = firewall_rules.on_trial(f"touch '{in_force}'", f"rm '{in_force}'", f"touch '{permanent}'")
    subprocess.run(["sh", "-c", command], check=True)
    assert in_force.exists() and not permanent.exists()
    if kept:
        confirmed.touch()
        wait_until(permanent.exists, 30, "the rules are kept")
        assert in_force.exists()
    else:
        wait_until(lambda: not in_force.exists(), 30, "the rules are gone")
        assert not permanent.exists()


def test_rules_that_cannot_be_applied_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firewall_rules, "LOCK", str(tmp_path / "lock"))
    monkeypatch.setattr(firewall_rules, "KEPT", str(tmp_path / "kept"))
    half = tmp_path / "half"
    command = firewall_rules.on_trial(f"touch '{half}'; false", f"rm '{half}'", "true")
    assert subprocess.run(["sh", "-c", command], check=False).returncode == 1
    assert not half.exists()


def test_a_shell_killed_halfway_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firewall_rules, "LOCK", str(tmp_path / "lock"))
    monkeypatch.setattr(firewall_rules, "KEPT", str(tmp_path / "kept"))
    monkeypatch.setattr(firewall_rules, "TRIAL_SECONDS", 0)
    half, undone = tmp_path / "half", tmp_path / "undone"
    command = firewall_rules.on_trial(f"touch '{half}'; kill -9 $$", f"rm '{half}'; touch '{undone}'", "true")
    assert subprocess.run(["sh", "-c", command], check=False).returncode == -9
    wait_until(undone.exists, 30, "the rules are gone")
    assert not half.exists()
