"""A host's maintenance as an administrator clicks it, on a Debian that boots: drained, shut down, woken, and its
desktops back at work. No page is loaded again by hand."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ravada_web.models import CloneState, Node, ServiceState
from ravada_web.services.lifecycle import removal
from ravada_web.services.nodes import nics
from ravada_web.services.nodes.endpoints import public_key
from tests.browser.conftest import NARROW, Opener, axe
from tests.browser.test_accessibility import wider_than_the_screen
from tests.cluster.test_waking import card_that_wakes
from tests.lab.booted import BootedHost
from tests.lab.trees import DEBIAN_12
from tests.support.cluster import Cluster, allow
from tests.support.factories import change
from tests.support.servers import wait_until

WHY = "New memory is put in"


@pytest.fixture
def host(people: Cluster, cluster: Cluster, tmp_path: Path) -> Iterator[BootedHost]:
    """A Debian 12 that is a node with the base, and three desktops of alice's on it, one of which runs."""
    made = BootedHost.beside(cluster.lab, 12, DEBIAN_12)
    made.make()
    made.authorize(public_key())
    made.start()
    try:
        made.wait_booted()
        listed = tmp_path / "hosts"
        listed.write_text(f"{made.name} {made.address} {made.host_key_fingerprint}\n")
        cluster.flask("nodes", "join", "--file", str(listed), "--install")
        wait_until(lambda: cluster.node(made.name).observed == "up", 120, "it is up")
        allow(cluster, cluster.base_id)
        change(Node, Node.name != made.name, service_state=ServiceState.DISABLED)
        cluster.create("home", 3, "--owner", "alice")
        change(Node, service_state=ServiceState.ENABLED)
        cluster.flask("clones", "start", "home-1", "--wait")
        yield made
        cluster.remove_made()
        allow(cluster, cluster.base_id, [node.name for node in cluster.lab.nodes])
        cluster.wait_operations()
        removal.remove(cluster.admin, cluster.node(made.name))
    finally:
        change(Node, Node.name != made.name, service_state=ServiceState.ENABLED)
        made.kill()
        made.purge()


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_host_is_drained_shut_down_woken_and_at_work_again(
    open_as: Opener, cluster: Cluster, host: BootedHost
) -> None:
    node = cluster.node(host.name)
    mac = nics.waking(node)
    assert mac is not None and {clone.node.name for clone in cluster.clones("home")} == {host.name}
    page, phone = open_as("admin"), open_as("admin", viewport=NARROW, color_scheme="dark")

    def look() -> None:
        phone.goto(page.url)
        for one in (page, phone):
            assert axe(one) + wider_than_the_screen(one) == [], page.url

    page.goto(f"{cluster.url}/nodes/{node.id}")
    page.get_by_role("link", name="Drain…").press("Enter")
    page.get_by_label("Reason").fill(WHY)
    page.get_by_label("Planned hours of maintenance").fill("2")
    look()
    page.get_by_role("button", name="Drain 1 node").press("Enter")
    expect(page.locator("main")).to_contain_text("The node is empty and in maintenance.")
    look()
    page.get_by_role("link", name=f"Go to {host.name}").press("Enter")
    expect(page.locator("#maintenance")).to_contain_text(re.compile(f"By admin .* planned until .*{WHY}", re.DOTALL))

    ask(page, "Shut down host…", "Shut down host")
    expect(page.locator("main")).to_contain_text("was shut down, and no longer answers")
    wait_until(lambda: not host.running, 60, "its power is off")
    look()
    page.get_by_role("link", name=f"Go to {host.name}").press("Enter")
    expect(page.locator("#away")).to_contain_text("The host was shut down")
    expect(page.locator("#maintenance")).to_contain_text(WHY)
    look()

    page.get_by_role("button", name="Wake and enable").press("Enter")
    expect(page.locator("main")).to_contain_text(re.compile("was sent by .* Nothing answers yet"))
    look()
    with card_that_wakes(cluster, host, mac.mac):
        expect(page.locator("main")).to_contain_text(f"{host.name} is up.")
    page.get_by_role("link", name=f"Go to {host.name}").press("Enter")
    expect(page.locator("#maintenance")).to_have_count(0)
    look()

    ask(page, "Bring 3 desktops back…", "Bring back")
    expect(page.locator("main")).to_contain_text("3 of 3 done.")
    look()
    assert {clone.node.name for clone in cluster.clones("home")} == {host.name}
    hers = open_as("alice")
    hers.get_by_role("button", name="Launch").first.click()
    hers.wait_for_url("**/console/*")

    def all_at_work() -> bool:
        return [clone.state for clone in cluster.clones("home")].count(CloneState.RUNNING) == 2

    wait_until(all_at_work, 60, "what was off is at work there too")
    running = host.virsh("list", "--name").split()
    assert len(running) == 2 and set(running) <= {clone.name for clone in cluster.clones("home")}


def ask(page: Page, link: str, button: str) -> None:
    """Follow a question's link and say yes, by the keyboard."""
    page.get_by_role("link", name=link).press("Enter")
    page.get_by_role("dialog").get_by_role("button", name=button, exact=True).press("Enter")
