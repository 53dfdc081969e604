"""Live pages show what is, however slow the answers are."""

from playwright.sync_api import Route, expect

from ravada_web.services.people import groups
from tests.browser.conftest import Opener
from tests.support.cluster import Cluster


def test_a_change_while_the_page_is_being_fetched_is_shown(open_as: Opener, cluster: Cluster) -> None:
    page = open_as("admin")
    page.goto(f"{cluster.url}/groups")
    held: list[Route] = []

    def hold_first(route: Route) -> None:
        """Have the first fragment answered now, and brought later."""
        if held or "hx-request" not in route.request.headers:
            route.fallback()
            return
        held.append(route)
        answer = route.fetch()
        kept = {"status": answer.status, "headers": answer.headers, "body": answer.body()}
        cluster.flask("groups", "create", "late-second")
        page.wait_for_timeout(2000)  # the event about the second one comes meanwhile, and is dropped by htmx
        route.fulfill(**kept)

    page.route("**/groups", hold_first)
    groups.create(cluster.admin, name="late-first")
    try:
        expect(page.get_by_role("link", name="late-first")).to_be_visible()
        expect(page.get_by_role("link", name="late-second")).to_be_visible(timeout=20_000)
        assert held
    finally:
        for name in ("late-first", "late-second"):
            groups.delete(cluster.admin, groups.by_name(cluster.admin, name))
