"""A real browser on the product that runs on the lab."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from ravada_web.services.people import users
from tests.support.cluster import PASSWORD, Cluster

ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
expect.set_options(timeout=100_000)
AXE = next(Path(__file__).parent.glob("vendor/axe-core@*/axe.min.js"))
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 375, "height": 740}


@pytest.fixture(scope="session")
def browser_type_launch_args() -> dict[str, Any]:
    program = shutil.which("chromium") or shutil.which("chromium-headless-shell")
    if program is None:
        pytest.skip("Chromium is not installed (apt install chromium)")
    return {"executable_path": program, "args": ARGUMENTS}


@pytest.fixture(scope="session")
def people(whole_cluster: Cluster) -> Cluster:
    """The cluster with somebody of every role: admin, operator and alice."""
    for name, role in (("operator", "operator"), ("alice", "user")):
        users.create(None, name, role, PASSWORD)
    return whole_cluster


Opener = Callable[..., Page]
BUSY = 503


def sign_in(page: Page, cluster: Cluster, name: str) -> int:
    """Sign somebody in; returns the status of the answer."""
    page.goto(f"{cluster.url}/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    with page.expect_response(lambda answer: answer.request.method == "POST") as answered:
        page.get_by_role("button", name="Sign in").click()
    return answered.value.status


@pytest.fixture
def open_as(browser: Browser, people: Cluster, cluster: Cluster) -> Iterator[Opener]:
    """Sign somebody in, in a window of its own; a script error or a broken rule of the CSP fails the test."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def opened(name: str = "admin", **options: Any) -> Page:
        context = browser.new_context(**{"viewport": WIDE, **options})
        context.set_default_timeout(100_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: problems.append(said.text) if "Content Security" in said.text else None)
        while sign_in(page, cluster, name) == BUSY:
            pass  # who is told so tries again; pytest ends what goes on for ever
        page.wait_for_url(lambda url: "/login" not in url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert problems == []


def axe(page: Page) -> list[str]:
    """What axe-core finds on the page, in one line each."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("async () => (await axe.run(document)).violations")
    return [f"{each['id']}: {each['help']}: {[node['target'] for node in each['nodes'][:3]]}" for each in found]
