"""The description of a licence type: one text, strict reading."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import codec
from ledger.errors import LedgerError
from ledger.licences.description import (
    TypeDescription,
    decode_description,
    description_digest,
    encode_description,
)

GIVEN = TypeDescription(code="11100000000013338W011", title_zh="营业执照", title_en="Business licence")


def file(**changes: Any) -> bytes:
    return codec.encode({"code": GIVEN.code, "title": {"en": "Business licence", "zh": "营业执照"}, "v": 1} | changes)


def test_what_is_written_reads_back() -> None:
    data = encode_description(GIVEN)
    assert data == file()
    assert decode_description(data) == GIVEN
    assert description_digest(data) == codec.domain_digest("licence-type", data)
    assert description_digest(data) != description_digest(file(code="11100000000013338W012"))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (file(v=2), "licence.description"),
        (file(extra=1), "licence.description"),
        (file(title="营业执照"), "licence.description"),
        (file(title={"zh": "营业执照"}), "licence.description"),
        (file(title={"en": "", "zh": "营业执照"}), "licence.description"),
        (file(title={"en": "x" * 65, "zh": "营业执照"}), "licence.description"),
        (file(title={"en": "Business licence", "zh": "营业\n执照"}), "licence.description"),
        (file(title={"en": "Business licence", "zh": "营业\u200b执照"}), "licence.description"),
        (file(title={"en": "Cafe\u0301", "zh": "营业执照"}), "licence.description"),
        (file(title={"en": 7, "zh": "营业执照"}), "licence.description"),
        (file(code=7), "licence.description"),
        (file(code="11100000000013338W01"), "identifier.licence-type"),
        (file(code="11100000000013338X011"), "identifier.uscc"),
        (b"[]", "licence.description"),
        (json.dumps({"v": 1, "code": GIVEN.code}).encode(), "json.whitespace"),
    ],
)
def test_everything_else_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(LedgerError) as refused:
        decode_description(data)
    assert refused.value.code == code


@given(st.one_of(st.binary(max_size=200), st.text(max_size=80).map(lambda text: file(code=text))))
def test_whatever_is_no_description_is_refused(data: bytes) -> None:
    with pytest.raises(LedgerError, match=r".") as refused:
        decode_description(data)
    assert refused.value.code.startswith(("json.", "licence.", "identifier."))
