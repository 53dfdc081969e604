"""Waking a node's host from its page: offered while it is off, refused with the reasons, followed to its end."""

from collections.abc import Callable

from flask.testing import FlaskClient

from ravada_web.messages import message
from ravada_web.models import (
    Away,
    Clone,
    CloneState,
    Node,
    Observed,
    Operation,
    OperationState,
    ServiceState,
    User,
    now,
)
from ravada_web.services.clones.requests import Request, request_clones
from tests.conftest import People
from tests.support.factories import change, make_base, make_nodes, make_operation

SignIn = Callable[[User], FlaskClient]


def off(**values: object) -> int:
    """A node that is off, beside one that is up; returns its id."""
    _master, found = make_nodes(2)
    change(Node, Node.id == found, seen=Observed.DOWN, away=Away.SILENT, checked_at=now(), **values)
    return found


def test_it_is_offered_for_a_host_that_is_off_and_for_no_other(people: People, sign_in: SignIn) -> None:
    found = off()
    client = sign_in(people.administrator)
    page = client.get(f"/nodes/{found}").text
    assert f'action="/nodes/{found}/wake"' in page and "enable=yes" not in page
    change(Node, Node.id == found, service_state=ServiceState.MAINTENANCE)
    assert f'action="/nodes/{found}/wake?enable=yes"' in client.get(f"/nodes/{found}").text
    assert "/wake" not in client.get(f"/nodes/{found - 1}").text, "that one is up"
    assert "/wake" not in sign_in(people.operator).get(f"/nodes/{found}").text


def test_what_there_is_no_way_to_wake_says_why(people: People, sign_in: SignIn) -> None:
    answer = sign_in(people.administrator).post(f"/nodes/{off()}/wake")
    assert answer.status_code == 409 and "The MAC address of its network card is not known" in answer.text


def test_asked_for_it_leads_to_its_progress_which_the_nodes_page_shows(people: People, sign_in: SignIn) -> None:
    found = off(mac="52:54:00:12:34:56", address="127.0.0.1", service_state=ServiceState.MAINTENANCE)
    nic = {"name": "eno1", "mac": "52:54:00:12:34:57", "wakes": "ready", "over": "", "is_default": True}
    change(Node, Node.id != found, facts={"host": {"bridges": [], "cards": [], "files": [], "nics": [
        nic | {"addresses": ["127.0.0.2/8"]}]}})  # fmt: skip
    client = sign_in(people.administrator)
    answer = client.post(f"/nodes/{found}/wake?enable=yes")
    assert answer.status_code == 303 and answer.location.startswith("/operations/")
    change(Operation, state=OperationState.WATCHED)
    page = client.get(f"/nodes/{found}").text
    assert "Wake host n2" in page and f'action="/nodes/{found}/wake' not in page
    assert "52:54:00:12:34:56" in page and "not known whether the card is ready" in page


def test_who_shuts_a_host_down_is_told_whether_it_can_be_woken(people: People, sign_in: SignIn) -> None:
    _master, found = make_nodes(2)
    client, question = sign_in(people.administrator), f"/nodes/{found}/shut-down"
    assert "There is no way to wake n2. The MAC address of its network card is not known" in client.get(question).text
    nic = {"name": "eno1", "mac": "52:54:00:12:34:56", "over": "", "is_default": True}
    for wakes, said in [("unset", "but Wake-on-LAN is off"), ("ready", "It can be woken from here.")]:
        for id_ in (found - 1, found):
            nics = [nic | {"wakes": wakes, "addresses": [f"192.0.2.{id_}/24"]}]
            change(Node, Node.id == id_, facts={"host": {"bridges": [], "cards": [], "files": [], "nics": nics}})
        assert said in client.get(question).text


def test_a_node_that_is_disabled_shows_it_too(people: People, sign_in: SignIn) -> None:
    found = off(service_state=ServiceState.DISABLED)
    make_operation("host_wake", title="Wake host n2", state=OperationState.WATCHED, node_id=found)
    assert "Wake host n2" in sign_in(people.administrator).get(f"/nodes/{found}").text


def test_a_host_that_was_shut_down_from_here_is_no_failure(people: People, sign_in: SignIn) -> None:
    news = message("nodes.now_shut_down", name="chief", off_at=now())
    found = off(service_state=ServiceState.MAINTENANCE, reason=message("remote.refused", name="n2", host="h", port=22))
    client = sign_in(people.administrator)
    assert "The host does not answer" in client.get(f"/nodes/{found}").text
    change(Node, Node.id == found, shut_down_news=news)
    page = client.get(f"/nodes/{found}").text
    assert "The host was shut down" in page and "Shut down from here by chief" in page
    assert "refused the connection" not in page and "The host does not answer" not in page
    listed = client.get("/nodes").text
    assert "Shut down from here by chief" in listed and "refused the connection" not in listed


def test_what_becomes_of_the_host_is_said_on_the_operations_page(people: People, sign_in: SignIn) -> None:
    found = off(service_state=ServiceState.MAINTENANCE)
    client = sign_in(people.administrator)
    title = message("nodes.title_host_off", node="n2")
    operation = make_operation("host_off", title=title, state=OperationState.WATCHED, node_id=found)
    change(Operation, result={"waits_for": "guests"})
    assert "Waiting for guests" in client.get(f"/operations/{operation.id}").text
    change(Operation, result={"waits_for": "host"})
    assert "Waiting for the host" in client.get(f"/operations/{operation.id}").text
    change(Operation, state=OperationState.DONE, message=message("nodes.host_off_done", node="n2"))
    page = client.get(f"/operations/{operation.id}").text
    assert "was shut down, and no longer answers" in page and "Go to n2" in page
    late = message("nodes.host_off_late", node="n2")
    change(Operation, state=OperationState.FAILED, error=late)
    page = client.get(f"/operations/{operation.id}").text
    assert "still answers" in page and "Go to n2" in page and "/operations/retry" not in page, "it is asked for anew"


def test_this_very_host_says_why_it_is_not_shut_down_from_here(people: People, sign_in: SignIn) -> None:
    master, other = make_nodes(2)
    client = sign_in(people.administrator)
    asked = client.get(f"/nodes/{master}/shut-down").text
    assert "It holds the original of every base" in asked
    assert "It holds the original" not in client.get(f"/nodes/{other}/shut-down").text
    change(Node, Node.id == master, local=True)
    page = client.get(f"/nodes/{master}").text
    assert "Ravada Web runs on this host" in page and "Shut down host…" not in page
    refused = client.get(f"/nodes/{master}/shut-down")
    assert refused.status_code == 409 and "Ravada Web runs on this host" in refused.text


def test_who_shuts_a_host_down_reads_what_stops(people: People, sign_in: SignIn) -> None:
    ids = make_nodes(2)
    client, address = sign_in(people.administrator), f"/nodes/{ids[1]}/shut-down"
    asked = client.get(address).text
    assert "stubborn" not in asked and "can’t be started" not in asked, "nothing is there"
    request_clones(people.administrator, Request(make_base(ids[1:]), 3, "pc", people.user.name))
    change(Clone, state=CloneState.STOPPED)
    asked = client.get(address).text
    assert "stubborn" not in asked and "3 desktops that are off there can’t be started until" in asked
    change(Clone, Clone.name == "pc-1", state=CloneState.RUNNING)
    asked = client.get(address).text
    assert "1 desktop is running there." in asked and "Drain the node first" in asked and 'name="stubborn"' in asked
    assert "2 desktops that are off" in asked
    # The user reads that the host is off, not that it fails.
    change(Node, Node.id == ids[1], seen=Observed.DOWN, away=Away.SILENT, observed_at=now(), shut_down_news=message(
        "nodes.now_shut_down", name="chief", off_at=now()))  # fmt: skip
    change(Clone, state=CloneState.UNREACHABLE)
    page = sign_in(people.user).get("/").text
    assert "has been off since" in page and "has not responded" not in page
