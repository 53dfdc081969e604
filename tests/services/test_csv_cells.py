"""Cells of CSV: no formula for a spreadsheet, and back as they were."""

import pytest

from ravada_web.services import csv_cells


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_formula_becomes_text_and_comes_back(cell: str) -> None:
    assert csv_cells.guard(cell) == f"'{cell}"
    assert csv_cells.unguard(f"'{cell}") == cell


@pytest.mark.parametrize("cell", ["", "node-1", "'quoted'", "1-2", "’tis"])
def test_other_texts_stay_as_they_are(cell: str) -> None:
    assert csv_cells.guard(cell) == csv_cells.unguard(cell) == cell


def test_a_line_is_quoted_where_it_has_to_be() -> None:
    assert csv_cells.line(["a,b", None, 3, "=x"]) == '"a,b",,3,\'=x\r\n'
