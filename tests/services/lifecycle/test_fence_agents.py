"""Fence agents: fence_dummy and fence_redfish for real, the latter against a small device; and small ones of our own
for what real ones do on a bad day."""

import json
import os
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from flask import Flask

from ravada_web.errors import Conflict
from ravada_web.services.lifecycle import fence_agents
from ravada_web.services.lifecycle.fence_agents import FenceFailed
from tests.support.redfish import Machine, redfish

pytestmark = pytest.mark.skipif(
    not (fence_agents.FOLDER / "fence_redfish").exists(), reason="no fence agents (apt install fence-agents)"
)


@pytest.fixture
def device(tmp_path: Path) -> Iterator[Machine]:
    with redfish(tmp_path) as machine:
        yield machine


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, app: Flask) -> Callable[[str], str]:
    """Makes an agent of a shell's script; returns its name."""

    def make(script: str) -> str:
        path = tmp_path / "fence_ours"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(fence_agents, "FOLDER", tmp_path)
        return path.name

    return make


def test_the_dummy_is_on_until_it_is_turned_off(tmp_path: Path, app: Flask) -> None:
    options = {"status_file": str(tmp_path / "status")}
    (tmp_path / "status").write_text("on")
    assert fence_agents.ask("fence_dummy", options) == "on"
    fence_agents.turn_off("fence_dummy", options)
    assert fence_agents.ask("fence_dummy", options) == "off"


def test_redfish_is_asked_and_turned_off(device: Machine, app: Flask) -> None:
    assert fence_agents.ask("fence_redfish", device.options) == "on"
    fence_agents.turn_off("fence_redfish", device.options)
    assert device.asked == ["ForceOff"]
    assert fence_agents.ask("fence_redfish", device.options) == "off"


def test_a_wrong_password_is_no_answer_and_is_not_shown(device: Machine, app: Flask) -> None:
    with pytest.raises(FenceFailed) as caught:
        fence_agents.ask("fence_redfish", device.options | {"password": "wrong-and-secret"})
    assert caught.value.message.kind == "fencing.unclear" and "wrong-and-secret" not in str(caught.value)


def test_a_device_that_is_silent_is_given_up(device: Machine, app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fence_agents, "STATUS_SECONDS", 1.5)
    device.silent.set()
    with pytest.raises(FenceFailed) as caught:
        fence_agents.ask("fence_redfish", device.options)
    assert caught.value.message.kind == "fencing.late"


def test_what_an_agent_wants_to_know_is_read_from_itself(app: Flask) -> None:
    found = fence_agents.describe("fence_ipmilan")
    options = {option.name: option for option in found.options}
    assert {"ip", "username", "password", "lanplus", "plug"} & options.keys() >= {"ip", "username", "password"}
    assert options["password"].secret and not options["username"].secret
    assert options["privlvl"].choices[-1] == "administrator"
    assert options["lanplus"].kind == "boolean"


@pytest.mark.parametrize("name", ["fence_ipmilan", "fence_virsh", "fence_kubevirt", "fence_openstack", "fence_dummy"])
def test_no_agent_is_given_an_option_that_runs_or_writes_something_here_or_guesses(name: str, app: Flask) -> None:
    """Neither those that name programs and files of this server, nor the one that takes a missing plug for off."""
    assert name in fence_agents.installed()
    bad = {"action", "debug_file", "password_script", "ipmitool_path", "ssh_options", "missing_as_off", "token_file"}
    bad |= {"passwd_script", "cookie_file", "status_file", "sudo_path", "delay", "verbose", "debug", "kubeconfig"}
    assert not {option.name for option in fence_agents.describe(name).options} & bad


@pytest.mark.parametrize("name", ["fence_scsi", "fence_ifmib", "fence_kdump", "fence_ack_manual", "../bin/sh"])
def test_what_does_not_switch_a_machines_power_is_not_used(name: str, app: Flask) -> None:
    with pytest.raises(Conflict):
        fence_agents.describe(name)


@pytest.mark.parametrize(
    "script",
    [
        "exit 2",  # as Python ends that cannot read its program
        "echo Status: ON; exit 2",
        "echo Status: OFF; exit 0",
        "echo Status: OFF; echo Status: ON; exit 2",
        "echo Status: OFF; exit 1",
        "echo 'Status: ON'; kill -9 $$",
    ],
)
def test_off_is_what_is_said_in_word_and_in_status_alike(agent: Callable[[str], str], script: str) -> None:
    with pytest.raises(FenceFailed):
        fence_agents.ask(agent(script), {})


def test_options_are_on_standard_input_alone(agent: Callable[[str], str], tmp_path: Path) -> None:
    name = agent(f"env > {tmp_path}/env; echo $# > {tmp_path}/words; cat > {tmp_path}/stdin; echo Status: ON")
    os.environ["RAVADA_TESTED"] = "secret"
    try:
        assert fence_agents.ask(name, {"password": "p w=1"}) == "on"
    finally:
        del os.environ["RAVADA_TESTED"]
    assert (tmp_path / "stdin").read_text() == "password=p w=1\naction=status\n"
    assert (tmp_path / "words").read_text() == "0\n"
    assert "secret" not in (tmp_path / "env").read_text() and "HOME" not in (tmp_path / "env").read_text()


def test_what_is_said_is_bounded_and_has_no_secret(
    agent: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FenceFailed) as caught:
        fence_agents.ask(agent("cat >&2; exit 1"), {"password": "hunter2-hunter2", "ip": "192.0.2.1"})
    assert "192.0.2.1" in str(caught.value) and "hunter2" not in str(caught.value)
    monkeypatch.setattr(fence_agents, "MOST_OUTPUT", 1000)
    with pytest.raises(FenceFailed) as caught:
        fence_agents.ask(agent("while :; do echo Status: OFF; done"), {})
    assert caught.value.message.kind == "fencing.too_much"


@pytest.mark.parametrize("form", [str, quote, repr, json.dumps, lambda word: b64encode(word.encode()).decode()])
def test_a_secret_is_not_shown_in_other_letters_either(agent: Callable[[str], str], form: Callable[[str], str]) -> None:
    secret = "hun'ter é2/%\\"
    script = f"cat > /dev/null; cat <<'END' >&2\nlogin with {form(secret)} failed\nEND\nexit 1"
    with pytest.raises(FenceFailed) as caught:
        fence_agents.ask(agent(script), {"snmp_auth_passwd": secret})
    assert "login with" in str(caught.value) and "failed" in str(caught.value)
    assert not {"hun", "aHVu"} & {str(caught.value)[place : place + size] for size in (3, 4) for place in range(400)}


def test_an_agent_that_waits_for_ever_is_ended_with_all_that_it_started(
    agent: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fence_agents, "STATUS_SECONDS", 0.3)
    with pytest.raises(FenceFailed) as caught:
        fence_agents.ask(agent("sleep 600 & sleep 600"), {})
    assert caught.value.message.kind == "fencing.late"


def test_hostile_metadata_is_refused(agent: Callable[[str], str], tmp_path: Path) -> None:
    for document in (
        '<!DOCTYPE x [<!ENTITY a "b">]><resource-agent>&a;</resource-agent>',
        "<other/>",
        "<resource-agent",
    ):
        (tmp_path / "metadata").write_text(document)
        with pytest.raises(Conflict):
            fence_agents.describe(agent(f"cat {tmp_path}/metadata"))


def test_one_that_is_missing_is_said_with_the_package(app: Flask) -> None:
    with pytest.raises(FenceFailed, match="apt install fence-agents"):
        fence_agents.ask("fence_nothing", {})
