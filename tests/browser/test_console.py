"""A user in a desktop, in a real browser on real nodes: seen, typed into, cut off with the cause, and back again."""

import base64
import os
import re
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect
from sqlalchemy import select

from ravada_web.extensions import db
from ravada_web.models import Base, CloneState, Node
from ravada_web.services.transaction import transaction
from tests.browser.conftest import NARROW, Opener, axe
from tests.lab.screen import read_screen
from tests.support.cluster import Cluster
from tests.support.servers import wait_until

PICTURE = "() => document.querySelector('#screen canvas')?.toDataURL('image/png') ?? ''"


def shown(page: Page) -> list[str]:
    """The lines that the guest shows on the console's canvas, read by its own glyphs."""
    address = page.evaluate(PICTURE)
    if len(address) < 100:
        return []
    return read_screen(base64.b64decode(address.partition(",")[2]))


def wait_shown(page: Page, line: str, seconds: float = 90) -> None:
    wait_until(lambda: line in shown(page), seconds, f"the console shows “{line}”: {shown(page)}", poll=0.2)


def launch(page: Page, cluster: Cluster) -> None:
    """From the card to the screen."""
    page.goto(cluster.url)
    page.get_by_role("button", name=re.compile("^Launch")).first.click()
    page.wait_for_url(re.compile("/console/"))
    expect(page.locator(".console.is-connected")).to_be_attached()


def test_a_user_sees_the_desktop_types_is_cut_off_and_comes_back(open_as: Opener, cluster: Cluster) -> None:
    (clone,) = cluster.create("see", 1, "--owner", "alice")
    page = open_as("alice")
    launch(page, cluster)
    wait_shown(page, f"name: {clone.name}")
    page.keyboard.type("echo hello-from-the-browser\n", delay=40)
    wait_shown(page, "hello-from-the-browser", 20)

    node = next(node for node in cluster.lab.nodes if node.name == clone.node.name)
    node.kill()
    expect(page.locator("#console-status[data-state=unreachable]")).to_be_visible()
    expect(page.locator(".console.is-connected")).not_to_be_attached()
    node.start()
    cluster.check_until_up(node.name)
    page.get_by_role("button", name="Launch").click()
    expect(page.locator(".console.is-connected")).to_be_attached()
    wait_shown(page, f"name: {clone.name}")


# When the screen was there and gone, in milliseconds.
WATCH = """() => {
  const part = document.querySelector('.console');
  window.seen = [];
  const note = () => window.seen.push([part.classList.contains('is-connected'), performance.now()]);
  new MutationObserver(note).observe(part, { attributes: true, attributeFilter: ['class'] });
}"""


def test_a_cut_network_and_moves_to_other_nodes_are_survived(open_as: Opener, cluster: Cluster) -> None:
    """The gateway goes away under an open console; then its desktop, which runs on elsewhere, and then is shut down to
    be started elsewhere: the page says so, and is back by itself."""
    (clone,) = cluster.create("cut", 1, "--owner", "alice")
    page = open_as("alice")
    launch(page, cluster)
    wait_shown(page, f"name: {clone.name}")
    os.kill(cluster.pid_of("gateway"), signal.SIGTERM)
    expect(page.locator(".console.is-connected")).to_be_attached()
    wait_shown(page, f"name: {clone.name}", 20)

    first = clone.node.name
    second, third = (node.name for node in cluster.lab.nodes if node.name != first)
    page.evaluate(WATCH)
    cluster.flask("clones", "move", clone.name, second, "--live", "--wait")
    wait_until(lambda: page.evaluate("window.seen.filter(([on]) => on).length") > 0, 30, "its screen is back")
    seen = page.evaluate("window.seen")
    gone, back = (next(moment for on, moment in seen if on == wanted) for wanted in (False, True))
    print(f"the screen was away for {back - gone:.0f} ms")
    expect(page.locator("[data-state=made-again]")).to_contain_text(f"Moved here from host {first}")
    page.keyboard.type("echo still-here\n", delay=40)
    wait_shown(page, "still-here", 30)

    cluster.flask("clones", "move", clone.name, third, "--cold", "--wait")
    expect(page.locator("[data-state=made-again]")).to_contain_text(f"Moved here from host {second}")
    expect(page.locator(".console.is-connected")).to_be_attached()
    assert cluster.clones("cut")[0].node.name == third


def test_the_console_by_keyboard_alone(open_as: Opener, cluster: Cluster) -> None:
    (clone,) = cluster.create("board", 1, "--owner", "alice")
    page = open_as("alice")
    page.goto(cluster.url)
    for _press in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText").strip().startswith("Launch"):
            break
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/console/"))
    wait_shown(page, f"name: {clone.name}")
    page.keyboard.type("echo by-keyboard\n", delay=40)
    wait_shown(page, "by-keyboard", 20)
    page.keyboard.press("Control+Alt+Shift")
    assert page.evaluate("document.activeElement.matches('.console-bar a')")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="My desktops")).to_be_visible()


def test_the_console_on_a_phone(open_as: Opener, cluster: Cluster) -> None:
    (clone,) = cluster.create("small", 1, "--owner", "alice")
    page = open_as("alice", viewport=NARROW, color_scheme="dark", has_touch=True)
    launch(page, cluster)
    wait_shown(page, f"name: {clone.name}")
    assert axe(page) == []
    width = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width[0] <= width[1]
    page.get_by_role("button", name="Clipboard").click()
    assert axe(page) == []


def test_an_operator_looks_on_and_is_refused(open_as: Opener, cluster: Cluster, refusing: None) -> None:
    (clone,) = cluster.create("look", 1, "--owner", "alice")
    user = open_as("alice")
    launch(user, cluster)
    wait_shown(user, f"name: {clone.name}")
    operator = open_as("operator")
    operator.goto(f"{cluster.url}/console/{clone.id}")
    wait_shown(operator, f"name: {clone.name}", 20)
    operator.keyboard.type("echo not-mine\n", delay=40)
    expect(user.locator("[data-state=watched]")).to_be_visible()
    assert "not-mine" not in "".join(shown(user))
    user.get_by_role("button", name="Block").click()
    expect(operator.get_by_text(re.compile("blocked screen viewing")).first).to_be_visible()
    expect(user.locator("[data-state=blocked]")).to_be_visible()


@pytest.fixture
def refusing(cluster: Cluster) -> Iterator[None]:
    """The base lets its users refuse onlookers."""
    with transaction() as session:
        session.get_one(Base, cluster.base_id).users_may_refuse = True
    yield
    with transaction() as session:
        session.get_one(Base, cluster.base_id).users_may_refuse = False


def test_one_click_makes_and_launches_what_is_offered(open_as: Opener, cluster: Cluster) -> None:
    with transaction() as session:
        base = session.get_one(Base, cluster.base_id)
        base.offered_to_all, base.offers_volatile = True, True
    cluster.made.append("linux-alice")
    try:
        page = open_as("alice")
        page.goto(cluster.url)
        page.get_by_role("button", name=re.compile("Create and launch")).click()
        page.wait_for_url(re.compile("/console/"))
        wait_shown(page, "name: linux-alice-1")
    finally:
        with transaction() as session:
            session.get_one(Base, cluster.base_id).offered_to_all = False
        db.session.rollback()


@pytest.mark.clock
def test_what_changes_shows_by_itself(open_as: Opener, cluster: Cluster) -> None:
    page = open_as("operator")
    page.goto(f"{cluster.url}/clones")
    (clone,) = cluster.create("news", 1)
    row = page.locator(f"#clone-{clone.id}")
    expect(row).to_have_attribute("data-state", CloneState.STOPPED, timeout=3_000)
    cluster.flask("clones", "start", clone.name, "--wait")
    expect(row).to_have_attribute("data-state", CloneState.RUNNING, timeout=3_000)


def test_without_javascript_a_viewer_is_the_door(open_as: Opener, cluster: Cluster) -> None:
    offer_displays(True)
    try:
        (clone,) = cluster.create("door", 1, "--owner", "alice")
        page = open_as("alice", java_script_enabled=False)
        page.goto(cluster.url)
        page.get_by_role("button", name=re.compile("^Launch")).first.click()
        cluster.wait_state("door", CloneState.RUNNING)
        page.goto(f"{cluster.url}/console/{clone.id}")
        page.get_by_label("More").click()
        page.get_by_role("button", name=re.compile("Open in virt-viewer")).click()
        link = page.get_by_role("link", name=re.compile(r"Download door-1\.vv"))
        wait_until(lambda: page.reload() and link.count(), 20, "the file is ready", poll=0.5)
        with page.expect_download() as fetched:
            link.click()
        text = fetched.value.path().read_text()
        assert "[virt-viewer]\ntype=spice\n" in text and f"host={cluster.node(clone.node.name).address}" in text
    finally:
        offer_displays(False)


def offer_displays(on: bool) -> None:
    """Have all nodes offer what is started from now on at their own address, or at none."""
    with transaction() as session:
        for node in session.scalars(select(Node)):
            node.display_address = node.address if on else ""
