"""Nesting of FHIR JSON is bounded on the text, before anything is decoded."""

from __future__ import annotations

import sys

import pytest

from ledger.medical.fhir import read_report
from ledger.medical.fhirjson import MAX_DEPTH, FhirJsonError, read


@pytest.fixture
def _deep_stack() -> object:
    """As libraries leave it that a node loads: the decoder would overflow the stack of the process."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    yield
    sys.setrecursionlimit(limit)


@pytest.mark.usefixtures("_deep_stack")
@pytest.mark.parametrize("data", [b"[" * 5_000_000, b'{"a":' * 1_000_000, b'[{"a":' * 500_000 + b'"'])
def test_nesting_without_end_is_refused(data: bytes) -> None:
    reading = read_report(data, institution="12310000MB2F30003R", now_s=1_780_272_000, rules=None)
    assert reading.report is None
    assert [problem.code for problem in reading.problems] == ["fhir.json-depth"]


def test_the_bound_and_what_only_looks_like_nesting() -> None:
    assert read(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    with pytest.raises(FhirJsonError) as refused:
        read(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))
    assert refused.value.code == "fhir.json-depth"
    assert read(b'{"a": "' + b"[" * 1_000 + b'\\"' + b"{" * 1_000 + b'"}')["a"].count("{") == 1_000
    assert len(read(b"[" + b",".join([b"[]"] * 1_000) + b"]")) == 1_000
