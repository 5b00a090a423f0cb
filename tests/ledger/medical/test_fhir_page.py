"""docs/fhir.md says every code, and nothing of it otherwise than the table."""

from __future__ import annotations

from pathlib import Path

from ledger.medical.fhirbundle import MAX_ENTRIES
from ledger.medical.fhirjson import MAX_BYTES, MAX_DEPTH, MAX_NUMBER
from ledger.medical.fhirproblems import problems_markdown
from ledger.medical.fhirresults import MAX_RESULTS

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "fhir.md").read_text("utf-8")


def test_the_table_of_codes_is_the_librarys() -> None:
    _, _, table = PAGE.partition("<!-- generated: ledger.medical.fhirproblems.problems_markdown() -->\n\n")
    assert table == problems_markdown()


def test_the_limits_are_those_of_the_reader() -> None:
    for limit in (
        f"{MAX_BYTES >> 20} MiB",
        f"{MAX_DEPTH} deep",
        f"{MAX_NUMBER} characters",
        f"{MAX_ENTRIES:,} entries",
    ):
        assert limit in PAGE
    assert f"at most {MAX_RESULTS} items" in PAGE
