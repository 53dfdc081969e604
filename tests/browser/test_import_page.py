"""The import's list in a real browser: what becomes of each element, seen before anything is imported.

With RAVADA_SHOTS set to a folder, a picture of each list is taken there.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from ravada_web.services.bases import actions as base_actions
from tests.browser.conftest import NARROW, Opener, axe
from tests.support.cluster import Cluster, ended, importable
from tests.support.originals import ORIGINALS, defined
from tests.support.servers import wait_until


@pytest.fixture(scope="module")
def originals(whole_cluster: Cluster) -> Iterator[Mapping[str, str]]:
    with defined(whole_cluster.lab.master) as names:
        yield names


def inspect(page: Page, url: str, name: str, domain: str) -> None:
    page.goto(f"{url}/bases/import")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Virtual machine", exact=True).select_option(domain)
    page.get_by_role("button", name="Inspect").click()
    page.wait_for_url(lambda address: "/listed/" in address)
    expect(page.get_by_role("heading", name="Kept")).to_be_visible()


def take_picture(page: Page, name: str) -> None:
    if folder := os.environ.get("RAVADA_SHOTS"):
        page.screenshot(path=Path(folder) / f"import-{name}.png", full_page=True)


def test_every_original_is_listed_before_it_is_imported(
    open_as: Opener, cluster: Cluster, originals: Mapping[str, str]
) -> None:
    wait_until(lambda: set(originals.values()) <= set(importable()), 15, "a check has seen them")
    page = open_as("admin", viewport=NARROW)
    for key, original in ORIGINALS.items():
        inspect(page, cluster.url, "seen first", originals[key])
        for verdict, element, _kind in original.found:
            line = page.locator(f'li[data-verdict="{verdict}"]', has=page.get_by_text(element, exact=True))
            expect(line.first).to_be_visible()
        refused = any(verdict == "refused" for verdict, _element, _kind in original.found)
        expect(page.get_by_role("button", name="Import")).to_have_count(0 if refused else 1)
        expect(page.get_by_role("button", name="Inspect again")).to_have_count(1 if refused else 0)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        take_picture(page, key)
    assert axe(page) == []


def test_what_is_in_the_way_is_fixed_inspected_again_and_imported(
    open_as: Opener, cluster: Cluster, originals: Mapping[str, str]
) -> None:
    wait_until(lambda: originals["damaged"] in importable(), 15, "a check has seen it")
    page = open_as("admin")
    inspect(page, cluster.url, "mended", originals["damaged"])
    command = page.locator('li[data-verdict="refused"] code').last.inner_text()
    cluster.lab.master.run(["sh", "-c", command])
    page.get_by_role("button", name="Inspect again").click()
    page.get_by_role("button", name="Import").click()
    page.wait_for_url(re.compile(r"/bases/\d+$"))
    expect(page.get_by_role("heading", name="mended", exact=True)).to_be_visible()
    base_id = int(page.url.rpartition("/")[2])
    ended(base_actions.remove(cluster.admin, cluster.base(base_id)).id)
