"""Strangers' bytes: whatever they are, a decoder answers or refuses with its own error, and never anything else."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import pytest
import rlp
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ledger import _native
from ledger.errors import InvalidInputError, LedgerError, UntrustedError
from tests.native_chain.native_city import City, sign

_BYTES = st.binary(max_size=700)
_RLP = st.recursive(st.binary(max_size=40), lambda inner: st.lists(inner, max_size=18), max_leaves=40).map(rlp.encode)


def answer(decode: Callable[..., dict[str, Any]], *args: object) -> tuple[dict[str, Any], str]:
    """(the fields, "") or ({}, class and code of the refusal); any other exception fails the test."""
    try:
        return decode(*args), ""
    except LedgerError as error:
        return {}, f"{type(error).__name__} {error.code}"


@cache
def seeds() -> tuple[bytes, list[bytes], list[bytes]]:
    """A true header, true transactions of each type, a true account proof."""
    city = City.found()
    raws = [sign(city.members[2], city.contracts["Grants"], b"\x01\x02", kind=kind) for kind in range(3)]
    raws.append(city.publish(3, "seed")[1])
    made = city.block(raws)
    return made.header, raws, city.chain.proof(city.contracts["Grants"], [])["account_proof"]


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """A true value with a byte changed, cut, doubled or put in."""
    place = draw(st.integers(0, len(good) - 1))
    how = draw(st.sampled_from(["change", "cut", "insert", "double"]))
    if how == "change":
        return good[:place] + bytes([draw(st.integers(0, 255))]) + good[place + 1 :]
    if how == "cut":
        return good[:place]
    if how == "insert":
        return good[:place] + draw(st.binary(min_size=1, max_size=4)) + good[place:]
    return good[:place] + good[place:] * 2


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_headers(data: st.DataObject) -> None:
    good = seeds()[0]
    raw = data.draw(_BYTES | _RLP | damaged(good))
    fields, refusal = answer(_native.header_fields, raw)
    if refusal:
        assert refusal in ("InvalidInputError header.malformed", "InvalidInputError header.field")
    else:
        # What is taken is the one encoding of what it says.
        assert fields["hash"] == _native.keccak256(raw)
        assert rlp.encode(rlp.decode(raw)) == raw
        assert len(rlp.decode(raw)) == 16


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_transactions(data: st.DataObject) -> None:
    good = data.draw(st.sampled_from(seeds()[1]))
    raw = data.draw(_BYTES | _RLP | damaged(good) | _RLP.map(lambda item: b"\x02" + item))
    fields, refusal = answer(_native.transaction_fields, raw)
    if refusal:
        assert refusal.removeprefix("InvalidInputError ") in ("tx.malformed", "tx.signature", "tx.chain-id")
    else:
        assert fields["hash"] == _native.keccak256(raw)
        body = raw if fields["type"] == 0 else raw[1:]
        assert rlp.encode(rlp.decode(body)) == body


@settings(max_examples=300, deadline=None)
@given(data=st.data())
@example(data=None)
def test_proofs(data: st.DataObject | None) -> None:
    proof = list(seeds()[2])
    address = bytes(20)
    if data is None:
        nodes, root = proof, _native.keccak256(proof[0])
    else:
        nodes = data.draw(st.lists(_RLP | _BYTES | st.sampled_from(proof).flatmap(damaged), max_size=4))
        # Under its own hash, so that a node is looked into and not only compared.
        root = _native.keccak256(nodes[0]) if nodes else bytes(32)
        address = data.draw(st.binary(min_size=20, max_size=20))
    account, refusal = answer(_native.verify_account, root, address, nodes)
    if refusal:
        assert refusal.startswith("UntrustedError state.node-")
    else:
        assert set(account) == {"nonce", "balance", "code_hash", "storage_hash"}


@pytest.mark.parametrize("raw", [b"", b"\x00", b"\xc0", b"\x80", b"\xff" * 9, b"\xb8\xff", b"\xf9\xff\xff"])
def test_short_nonsense(raw: bytes) -> None:
    with pytest.raises(InvalidInputError):
        _native.transaction_fields(raw)
    with pytest.raises(InvalidInputError):
        _native.header_fields(raw)
    with pytest.raises(UntrustedError):
        _native.verify_account(_native.keccak256(raw), bytes(20), [raw])
