"""Cells of CSV for spreadsheets, which take some texts for formulas and run them."""

import csv
import io
from collections.abc import Iterable

# What a spreadsheet takes for a formula's beginning.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def line(cells: Iterable[object]) -> str:
    """One line of CSV with its end; None is an empty cell, and no cell is a formula."""
    text = io.StringIO()
    csv.writer(text).writerow(guard("" if cell is None else str(cell)) for cell in cells)
    return text.getvalue()


def guard(cell: str) -> str:
    """The cell with an apostrophe before it where a spreadsheet would take it for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def unguard(cell: str) -> str:
    """The cell as it was before `guard`."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell
