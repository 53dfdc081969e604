"""Every page, for every kind of screen: axe finds nothing, nothing sticks out of a phone's width."""

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import NARROW, WIDE, Opener, axe
from tests.support.cluster import Cluster

PAGES = (
    "/",
    "/first-steps",
    "/alerts",
    "/nodes",
    "/nodes/add",
    "/nodes/schedule",
    "/nodes/{node}",
    "/nodes/{node}/edit",
    "/nodes/{node}/join",
    "/nodes/{node}/storage",
    "/nodes/{node}/pools/{pool}",
    "/nodes/{node}/join/mend?code=firewall",
    "/nodes/{node}/enable",
    "/nodes/{node}/disable",
    "/nodes/{node}/maintenance",
    "/nodes/{node}/restart",
    "/nodes/{node}/fence?agent=fence_ipmilan",
    "/nodes/{node}/fence/off",
    "/nodes/{node}/remove",
    "/bases",
    "/bases/import",
    "/bases/{base}",
    "/bases/{base}/base",
    "/clones",
    "/clones?search=axe",
    "/clones?search=nothing-is-called-so",
    "/clones/new",
    "/clones/{clone}",
    "/clones/delete?id={clone}",
    "/operations",
    "/operations/{operation}",
    "/workers",
    "/workers/jobs/checks/failed",
    "/audit",
    "/account",
    "/account/password",
    "/account/second-factor",
    "/users",
    "/users/new",
    "/users/{user}",
    "/users/roles",
    "/groups",
    "/bases/{base}/offered",
    "/console/{clone}",
    "/no-such-page",
)


@pytest.mark.parametrize(("width", "scheme"), [(WIDE, "dark"), (NARROW, "light")], ids=["wide-dark", "narrow-light"])
def test_axe_finds_nothing_on_any_page(open_as: Opener, cluster: Cluster, width: dict[str, int], scheme: str) -> None:
    (clone,) = cluster.create("axe", 1)
    ids = {"node": cluster.node("rvt2").id, "base": cluster.base_id, "clone": clone.id, "user": cluster.admin.id}
    ids["pool"] = cluster.node("rvt2").pools[0].id
    ids["operation"] = clone.operation_id
    page = open_as("admin", viewport=width, color_scheme=scheme)
    found: dict[str, list[str]] = {}
    for path in PAGES:
        where = path.format(**ids)
        page.goto(f"{cluster.url}{where}")
        problems = axe(page) + wider_than_the_screen(page)
        if problems:
            found[where] = problems
    assert found == {}


def wider_than_the_screen(page: Page) -> list[str]:
    width = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    return [f"{width[0]} points wide on a screen of {width[1]}"] if width[0] > width[1] else []


def test_axe_finds_nothing_before_the_sign_in_and_on_a_users_page(open_as: Opener, cluster: Cluster) -> None:
    cluster.create("hers", 2, "--owner", "alice")
    page = open_as("alice", color_scheme="dark")
    assert axe(page) == []
    page.get_by_role("link", name="hers-1").first.click()
    assert axe(page) == []
    page.context.clear_cookies()
    page.goto(f"{cluster.url}/login")
    assert axe(page) == []


def test_axe_does_find_what_is_wrong(open_as: Opener, cluster: Cluster) -> None:
    """The gate itself works: a picture without words and grey on grey are found."""
    page = open_as("admin")
    page.evaluate("document.querySelector('main').insertAdjacentHTML('beforeend', '<img src=\"/static/icon.svg\">')")
    assert any("alternative text" in problem for problem in axe(page))


def test_the_navigation_stays_in_one_line(open_as: Opener, cluster: Cluster) -> None:
    page = open_as("admin")
    heights = "[...document.querySelectorAll('.nav-entry, .brand')].map((entry) => entry.offsetHeight)"
    for width in (768, 900, 1000, 1200, 1280, 1400):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(f"{cluster.url}/clones")
        assert max(page.evaluate(heights)) < 50, f"at {width} px"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"at {width} px"
