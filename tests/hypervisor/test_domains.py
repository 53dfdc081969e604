"""Domains, health and facts on libvirt's own test driver; what hangs or is not there, on real sockets."""

import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import libvirt
import pytest

from ravada_web.hypervisor import domains
from ravada_web.hypervisor.connection import open_connection, socket_uri
from ravada_web.hypervisor.errors import HypervisorError, HypervisorUnreachable
from ravada_web.hypervisor.facts import read_facts
from ravada_web.hypervisor.health import read_health

XML = (
    "<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory>65536</memory><os><type>hvm</type></os></domain>"
)


@pytest.fixture
def connection() -> Iterator[libvirt.virConnect]:
    with open_connection("test:///default") as opened:
        yield opened


@pytest.fixture
def defined(connection: libvirt.virConnect) -> Iterator[str]:
    own = str(uuid.uuid4())
    domains.define_all(connection, [XML.format(name=f"t-{own[:8]}", uuid=own)])
    yield own
    domains.force_off(connection, own)
    connection.lookupByUUIDString(own).undefine()  # the test driver knows none of the flags that ours gives


def test_a_domain_is_defined_started_and_stopped(connection: libvirt.virConnect, defined: str) -> None:
    assert domains.states(connection, [defined]) == {defined: "stopped"}
    domains.start(connection, defined)
    assert domains.states(connection, [defined]) == {defined: "running"}
    domains.shut_down(connection, defined)
    assert domains.states(connection, [defined]) == {defined: "stopped"}


def test_what_is_so_already_is_no_error(connection: libvirt.virConnect, defined: str) -> None:
    domains.start(connection, defined)
    domains.start(connection, defined)
    for _time in range(2):
        domains.force_off(connection, defined)
    domains.shut_down(connection, defined)
    gone = str(uuid.uuid4())
    domains.force_off(connection, gone)
    domains.undefine(connection, gone)


def test_one_that_was_started_meanwhile_does_not_run_on_without_its_definition(
    connection: libvirt.virConnect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(domains, "_REMOVE_FLAGS", 0)  # the test driver knows none
    own = str(uuid.uuid4())
    xml = XML.format(name=f"t-{own[:8]}", uuid=own)
    domains.define_all(connection, [xml])
    domains.start(connection, own)
    domains.undefine(connection, own)
    assert domains.states(connection, [own]) == {}
    # So it was left by a process that was killed in between.
    connection.createXML(xml)
    domains.undefine(connection, own)
    assert domains.states(connection, [own]) == {}


def test_defining_again_keeps_one(connection: libvirt.virConnect, defined: str) -> None:
    domains.define_all(connection, [domains.domain_xml(connection, domains.existing(connection)[defined])])
    assert list(domains.existing(connection)).count(defined) == 1


def test_starting_what_is_not_there_is_an_error_of_ours(connection: libvirt.virConnect) -> None:
    with pytest.raises(HypervisorError):
        domains.start(connection, str(uuid.uuid4()))


def test_a_name_that_is_taken_by_another_domain_is_refused(connection: libvirt.virConnect, defined: str) -> None:
    name = domains.existing(connection)[defined]
    with pytest.raises(HypervisorError):
        domains.define_all(connection, [XML.format(name=name, uuid=uuid.uuid4())])


def test_a_paused_domain_goes_on_when_it_is_started(connection: libvirt.virConnect, defined: str) -> None:
    domains.start(connection, defined)
    connection.lookupByUUIDString(defined).suspend()
    assert read_health(connection).domains[defined].state == "paused"
    domains.start(connection, defined)
    assert read_health(connection).domains[defined].state == "running"


def test_health_names_every_domain(connection: libvirt.virConnect, defined: str) -> None:
    seen = read_health(connection).domains
    assert seen[defined].name == f"t-{defined[:8]}"
    assert {name for name, _uuid, _state in domains.list_domains(connection)} == {each.name for each in seen.values()}


def test_facts_of_the_test_driver_are_whole(connection: libvirt.virConnect) -> None:
    facts = read_facts(connection)
    assert facts.cpus > 0 and facts.memory_mib > 0
    assert facts.virt_type == "qemu", "KVM is never assumed"
    assert "bios" in facts.firmwares


def test_libvirts_own_errors_do_not_leave_the_room(connection: libvirt.virConnect) -> None:
    with pytest.raises(HypervisorError), open_connection("test:///default") as other:
        other.lookupByName("no such")


@pytest.mark.clock
def test_nothing_there_is_unreachable_at_once(tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(HypervisorUnreachable), open_connection(socket_uri(tmp_path / "none")):
        pass
    assert time.monotonic() - begun < 2


@pytest.mark.clock
def test_what_accepts_and_never_answers_is_given_up_at_the_deadline(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        begun = time.monotonic()
        with (
            pytest.raises(HypervisorUnreachable, match=r"within 0\.5 s"),
            open_connection(socket_uri(path), deadline=0.5),
        ):
            pass
        assert time.monotonic() - begun < 2


def test_a_sockets_path_is_quoted_in_the_uri() -> None:
    assert socket_uri("/run/a b&c") == "qemu+unix:///system?socket=/run/a%20b%26c"


def test_buttons_are_pressed_side_by_side_and_what_is_off_or_gone_is_left(
    connection: libvirt.virConnect, defined: str
) -> None:
    domains.start(connection, defined)
    connection.lookupByUUIDString(defined).suspend()
    assert domains.shut_down_all(connection, [defined, str(uuid.uuid4())]) == {}
    assert domains.states(connection, [defined]) == {defined: "stopped"}
    assert domains.shut_down_all(connection, [defined]) == {}
    assert domains.shut_down_all(connection, []) == {}


def test_a_button_that_cannot_be_pressed_says_why(defined: str) -> None:
    with open_connection("test:///default") as closed:
        pass
    said = domains.shut_down_all(closed, [defined])
    assert list(said) == [defined] and str(said[defined])
