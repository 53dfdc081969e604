"""In a real browser: a node's charts are drawn, another span is chosen by keyboard, a death is on every page."""

from playwright.sync_api import expect

from ravada_web.models import Observed
from tests.browser.conftest import Opener
from tests.support.cluster import Cluster
from tests.support.servers import wait_until

INKED = """() => [...document.querySelectorAll("#charts canvas")].map((canvas) => {
  const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return pixels.some((value) => value !== 0);
})"""


def test_the_charts_are_drawn_and_their_span_is_chosen_by_keyboard(open_as: Opener, cluster: Cluster) -> None:
    page = open_as("admin")
    page.goto(f"{cluster.url}/nodes/{cluster.node('rvt1').id}")
    charts = page.locator("#charts")
    expect(charts).to_have_attribute("data-drawn", "hour")
    assert page.evaluate(INKED) == [True] * 4
    day = charts.get_by_role("link", name="Day")
    day.focus()
    page.keyboard.press("Enter")
    expect(charts).to_have_attribute("data-drawn", "day")
    expect(day).to_have_attribute("aria-current", "true")
    assert page.url.endswith("span=day") and page.evaluate(INKED) == [True] * 4


def test_a_death_is_said_on_every_page_to_those_who_run_the_cluster(open_as: Opener, cluster: Cluster) -> None:
    page, theirs = open_as("admin"), open_as("alice")
    page.goto(f"{cluster.url}/clones")
    cluster.lab.nodes[1].partition()
    try:
        expect(page.locator(".alarm")).to_contain_text("Down: rvt2")
        page.goto(f"{cluster.url}/alerts")
        expect(page.get_by_role("main").get_by_text("rvt2").first).to_be_visible()
        theirs.reload()
        expect(theirs.get_by_text("rvt2")).to_have_count(0)
    finally:
        cluster.lab.nodes[1].heal()
    wait_until(lambda: cluster.node("rvt2").observed == Observed.UP, 30, "it is up again")
    expect(page.locator(".alarm")).to_have_count(0)
