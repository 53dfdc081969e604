"""What people do, clicked through in a real browser on real nodes."""

import re

from playwright.sync_api import expect

from ravada_web.messages import message
from ravada_web.models import CloneState
from tests.browser.conftest import NARROW, Opener
from tests.support.cluster import Cluster
from tests.support.servers import wait_until


def test_a_host_that_is_not_there_brings_the_form_back_with_the_cause(open_as: Opener, cluster: Cluster) -> None:
    page = open_as("admin")
    page.goto(f"{cluster.url}/nodes/add")
    page.get_by_label("Name", exact=True).fill("nowhere")
    page.get_by_label("Address", exact=True).fill("no-such-host.invalid")
    page.get_by_role("button", name="Next: verify host key").click()
    unknown = message("remote.unknown_address", host="no-such-host.invalid")
    expect(page.get_by_text(str(unknown))).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("nowhere")


def test_clones_are_asked_for_by_the_form_and_seen_to_be_made(open_as: Opener, cluster: Cluster) -> None:
    cluster.made.append("form")
    page = open_as("operator")
    page.goto(f"{cluster.url}/clones/new")
    page.get_by_label("How many").fill("6")
    page.get_by_label("Name prefix").fill("form")
    page.get_by_label("Owner").fill("")
    page.get_by_label("Owner").press_sequentially("LIC")
    expect(page.locator("#owners option")).to_have_attribute("value", "alice")
    page.get_by_label("Owner").fill("alice")
    page.get_by_role("button", name="Create desktops").click()
    expect(page.get_by_role("row", name=re.compile("form-6"))).to_contain_text("Off")
    assert cluster.spread("form") == {"rvt1": 2, "rvt2": 2, "rvt3": 2}
    page.get_by_role("link", name="form-1", exact=True).click()
    expect(page.get_by_role("heading", name="Placement")).to_be_visible()


def test_more_than_fit_says_how_many_fit_and_why(open_as: Opener, cluster: Cluster) -> None:
    page = open_as("admin")
    page.goto(f"{cluster.url}/clones/new")
    page.get_by_label("How many").fill("1000")
    page.get_by_label("Name prefix").fill("toomany")
    page.get_by_label("Start when ready").check()
    page.get_by_role("button", name="Create desktops").click()
    expect(page.get_by_text(re.compile(r"of .*1,?000"))).to_be_visible()
    expect(page.get_by_text(re.compile("MiB of memory")).first).to_be_visible()
    assert cluster.clones("toomany") == []


def test_a_user_starts_and_stops_a_desktop_on_a_phone(open_as: Opener, cluster: Cluster) -> None:
    cluster.create("phone", 1, "--owner", "alice")
    page = open_as("alice", viewport=NARROW)
    page.goto(cluster.url)
    page.get_by_role("button", name="Launch phone-1").click()
    page.wait_for_url(re.compile(r"/console/\d+$"))
    cluster.wait_state("phone", CloneState.RUNNING)
    page.goto(cluster.url)
    expect(page.get_by_role("link", name="Open phone-1")).to_be_visible()
    page.get_by_label("Actions for phone-1").click()
    expect(page.get_by_role("button", name="Shut down")).to_be_visible()


def test_a_selection_is_deleted_after_saying_what_is_lost(open_as: Opener, cluster: Cluster) -> None:
    cluster.create("sel", 3)
    page = open_as("admin")
    page.goto(f"{cluster.url}/clones?search=sel-")
    page.get_by_role("checkbox", name=re.compile("sel-1")).check()
    page.get_by_role("checkbox", name=re.compile("sel-3")).check()
    page.get_by_role("button", name=re.compile("Delete")).first.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("sel-1")
    expect(dialog).to_contain_text("sel-3")
    dialog.get_by_role("button", name=re.compile("Delete")).click()
    expect(page.locator("#toasts .toast-box")).to_be_visible()
    wait_until(lambda: [clone.name for clone in cluster.clones("sel")] == ["sel-2"], 30, "two are gone")


def test_without_javascript_the_main_job_goes_too(open_as: Opener, cluster: Cluster) -> None:
    cluster.made.append("plain")
    page = open_as("admin", java_script_enabled=False)
    page.goto(f"{cluster.url}/clones/new")
    page.get_by_label("How many").fill("1")
    page.get_by_label("Name prefix").fill("plain")
    page.get_by_role("button", name="Create desktops").click()
    expect(page.get_by_role("row", name=re.compile("plain-1"))).to_be_visible()
    cluster.wait_state("plain", CloneState.STOPPED)


def test_by_keyboard_alone_a_user_signs_in_and_starts_a_desktop(open_as: Opener, cluster: Cluster) -> None:
    cluster.create("keys", 1, "--owner", "alice")
    page = open_as("alice")
    page.goto(cluster.url)
    for _press in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.innerText").strip().startswith("Launch"):
            break
    page.keyboard.press("Enter")
    cluster.wait_state("keys", CloneState.RUNNING)


def test_a_node_that_dies_is_seen_to_be_down_without_a_reload(open_as: Opener, cluster: Cluster) -> None:
    page = open_as("operator")
    page.goto(f"{cluster.url}/nodes")
    row = page.locator(f"#node-{cluster.node('rvt3').id}")
    expect(row).to_have_attribute("data-state", "up")
    cluster.lab.nodes[2].kill()
    expect(row).to_have_attribute("data-state", "down")
    expect(row.locator(".reason")).to_contain_text("rvt3")
