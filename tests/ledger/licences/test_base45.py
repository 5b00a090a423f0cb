"""Base45 against the examples of the RFC, and texts that are none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvalidInputError
from ledger.licences import base45

# RFC 9285, sections 4.3 and 4.4.
EXAMPLES = [(b"", ""), (b"AB", "BB8"), (b"Hello!!", "%69 VD92EX0"), (b"base-45", "UJCLQE7W581"), (b"ietf!", "QED8WEX0")]


@pytest.mark.parametrize(("data", "text"), EXAMPLES)
def test_the_examples_of_the_rfc(data: bytes, text: str) -> None:
    assert base45.encode(data) == text
    assert base45.decode(text) == data


# Beyond 65535 and 255 (section 4.2 and 6), a lone character, characters of other alphabets.
@pytest.mark.parametrize("text", ["GGW", ":::", "::", "V5", "B", "BB8B", "bb8", "BB8\n", "ÜB8", "AB=", "AB_"])
def test_texts_that_are_none(text: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        base45.decode(text)
    assert caught.value.code == "licence.base45"


@given(st.binary(max_size=60))
def test_bytes_come_back(data: bytes) -> None:
    text = base45.encode(data)
    assert base45.decode(text) == data
    assert len(text) == len(data) // 2 * 3 + len(data) % 2 * 2


@given(st.text(alphabet=base45.ALPHABET, max_size=30))
def test_no_two_texts_mean_the_same_bytes(text: str) -> None:
    try:
        data = base45.decode(text)
    except InvalidInputError:
        return
    assert base45.encode(data) == text
