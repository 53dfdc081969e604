"""docs/benchmarks.md has a section for every benchmark of the Makefile, which `--write` replaces."""

import re
import sys

import pytest

from tests.benchmarks import report
from tests.docs import markdown

FIGURES = {"rounds": {"10": {"seconds": 0.25, "rss_mib": 2002}, "50": {"seconds": 0.5, "ratio": 3}}}


def test_every_benchmark_has_a_section() -> None:
    targets = re.findall(r"^(bench-\w+):", (markdown.ROOT / "Makefile").read_text(), re.MULTILINE)
    page = report.PAGE.read_text()
    assert sorted(re.findall(r"^## (bench-\w+)$", page, re.MULTILINE)) == sorted(targets)
    assert [name for name in targets if report.replaced(page, name, "new") == page] == []


def test_figures_become_a_table() -> None:
    assert report.table(FIGURES).splitlines() == [
        "| | seconds | rss_mib | ratio |",
        "|---|---|---|---|",
        "| rounds 10 | 0.25 | 2,002 |  |",
        "| rounds 50 | 0.5 |  | 3 |",
    ]


def test_only_its_own_section_is_replaced() -> None:
    page = "<!-- a -->\nold\n<!-- /a -->\nbetween\n<!-- b -->\nkept\n<!-- /b -->\n"
    new = report.replaced(page, "a", "new")
    assert new == "<!-- a -->\nnew\n<!-- /a -->\nbetween\n<!-- b -->\nkept\n<!-- /b -->\n"
    with pytest.raises(ValueError, match="no section"):
        report.replaced(page, "c", "new")


@pytest.mark.parametrize("arguments", [[], ["--write"]])
def test_the_page_is_written_only_on_request(
    arguments: list[str], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    page = tmp_path_factory.mktemp("page") / "benchmarks.md"
    page.write_text("<!-- bench-x -->\nold\n<!-- /bench-x -->\n")
    monkeypatch.setattr(report, "PAGE", page)
    monkeypatch.setattr(sys, "argv", ["bench", *arguments])
    report.report("bench-x", {"seconds": 1.5})
    assert capsys.readouterr().out == '{"seconds": 1.5}\n'
    assert ("| | seconds |" in page.read_text()) == bool(arguments)
    assert ("old" in page.read_text()) != bool(arguments)
