"""The whole joining in a real browser, by keyboard alone: from an address to a node that is proved and enabled.

With RAVADA_SHOTS set to a folder, the pictures of the administrator's guide are taken on the way.
"""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ravada_web.extensions import db
from ravada_web.messages import message
from ravada_web.models import Node
from ravada_web.services.lifecycle import removal
from tests.browser.conftest import WIDE, Opener, axe
from tests.lab import Lab, LabNode
from tests.support.cluster import Cluster

USER_PASSWORD = "typed once in a browser"
MOST_TABS = 80


@pytest.fixture
def host(cluster: Cluster, tmp_path: Path) -> Iterator[LabNode]:
    """A host that does not know our key, and lacks the network that clones use."""
    lab = Lab(tmp_path / "lab", "rvj", 1)
    lab.up()
    host = lab.master
    host.add_user("keeper", USER_PASSWORD, sudo=True, groups=["libvirt"])
    host.virsh("net-destroy", "default")
    yield host
    lab.down(purge=True)
    db.session.rollback()
    if node := db.session.query(Node).filter_by(name="newcomer").one_or_none():
        removal.remove(cluster.admin, node)


def press(page: Page, name: str | re.Pattern[str], role: str = "button") -> None:
    """Go by Tab to the button or link of that name, and press Enter on it."""
    wanted = page.get_by_role(role, name=name)  # type: ignore[arg-type]
    expect(wanted.first).to_be_visible()
    for _tab in range(MOST_TABS):
        if wanted.first.evaluate("element => element === document.activeElement"):
            page.keyboard.press("Enter")
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{name} is not reached by Tab")


def type_into(page: Page, label: str, text: str) -> None:
    """Go by Tab to the field of that label, and type."""
    field = page.get_by_label(label, exact=True)
    expect(field).to_be_visible()
    for _tab in range(MOST_TABS):
        if field.evaluate("element => element === document.activeElement"):
            page.keyboard.press("ControlOrMeta+a")
            page.keyboard.type(text)
            return
        page.keyboard.press("Tab")
    raise AssertionError(f"{label} is not reached by Tab")


def shot(page: Page, name: str) -> None:
    if folder := os.environ.get("RAVADA_SHOTS"):
        page.evaluate("scrollTo(0, 0)")
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_a_node_joins_by_keyboard_alone(open_as: Opener, cluster: Cluster, host: LabNode) -> None:
    page = open_as("admin", viewport=WIDE)
    started = time.monotonic()
    page.goto(f"{cluster.url}/nodes")
    press(page, "Add a node", "link")
    type_into(page, "Name", "newcomer")
    type_into(page, "Address", host.address)
    type_into(page, "SSH user", "keeper")
    shot(page, "joining-1-address")
    press(page, "Next: verify host key")

    expect(page.get_by_text(host.host_key_fingerprint)).to_be_visible()
    shot(page, "joining-2-trust")
    press(page, re.compile("accept", re.I))

    expect(page.get_by_role("heading", name=re.compile("Access"))).to_be_visible()
    key_refused = message("remote.key_refused", name="newcomer", user="keeper")
    expect(page.get_by_text(str(key_refused))).to_be_visible()
    assert axe(page) == []
    shot(page, "joining-3-access")
    type_into(page, "Password", "not this one")
    press(page, "Install key with password")
    wrong_password = message("remote.wrong_password", name="newcomer", user="keeper")
    expect(page.get_by_text(str(wrong_password))).to_be_visible()
    type_into(page, "Password", USER_PASSWORD)
    press(page, "Install key with password")

    expect(page.get_by_text(str(message("joining.network_inactive", network="default")))).to_be_visible()
    assert axe(page) == []
    shot(page, "joining-4-checks")
    press(page, "Install what is missing…", "link")
    expect(page.get_by_role("heading", name="Fix newcomer?")).to_be_visible()
    press(page, "Run commands")
    expect(page.get_by_text(str(message("joining.network", network="default")))).to_be_visible()

    press(page, "Test and enable")
    expect(page.get_by_role("link", name="Go to node")).to_be_visible()
    print(f"joined in {time.monotonic() - started:.1f} s")
    assert axe(page) == []
    shot(page, "joining-5-proof")
    press(page, "Go to node", "link")
    expect(page.get_by_text("Enabled", exact=False).or_(page.get_by_text("Up")).first).to_be_visible()
    db.session.rollback()
    node = db.session.query(Node).filter_by(name="newcomer").one()
    assert (node.service_state, node.access) == ("enabled", "sudo")
