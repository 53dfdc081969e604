"""A user sits in a volatile desktop whose node dies, in a real browser: the page leads to the new one by itself."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import NARROW, Opener, axe
from tests.browser.test_console import wait_shown
from tests.support.cluster import Cluster


@pytest.mark.long
def test_a_user_is_in_the_new_desktop_without_a_click(open_as: Opener, cluster: Cluster) -> None:
    rows = cluster.create("sit", 2, "--owner", "alice", "--volatile")
    clone = next(clone for clone in rows if clone.node.name != cluster.lab.master.name)
    page = open_as("alice")
    page.goto(f"{cluster.url}/?search={clone.name}")
    launch_of = page.locator(f"#desktop-{clone.id} .desktop-actions button")
    launch_of.click()
    expect(page.locator(".console.is-connected")).to_be_attached()
    wait_shown(page, f"name: {clone.name}")
    listed = open_as("alice", viewport=NARROW)
    listed.goto(f"{cluster.url}/?search={clone.name}")
    died = next(node for node in cluster.lab.nodes if node.name == clone.node.name)
    died.kill()
    expect(page.locator(".console.is-connected")).not_to_be_attached()
    told = page.locator("[data-state=made-again]")
    expect(told).to_contain_text(f"because host {died.name} failed")
    expect(page.locator(".console.is-connected")).to_be_attached()
    wait_shown(page, f"name: {clone.name}")
    card = listed.locator(f"#desktop-{clone.id}")
    expect(card).to_contain_text(f"because host {died.name} failed")
    expect(card).to_have_attribute("data-state", "running")
    assert axe(page) == []
    page.get_by_role("button", name="OK").click()
    expect(told).to_be_hidden()
