"""Blocks of other makes: headers of every fork and of QBFT, kinds of transactions, strict values."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain import external_shapes as shapes
from ledger.chain.embedded import keccak256
from ledger.chain.rpc.shapes import HEADER_FIELDS, HEADER_NUMBERS
from ledger.errors import UntrustedError
from ledger.evidence.qbft import encode_header
from ledger.model import MAX_TIME_MS
from tests.external.endpoint import as_json, forged
from tests.ledger.evidence.qbft_net import header, sealed

LATER = ("withdrawalsRoot", "blobGasUsed", "excessBlobGas", "parentBeaconBlockRoot", "requestsHash")
NAMES = (*HEADER_FIELDS, *LATER)
NUMBERS = HEADER_NUMBERS | {"blobGasUsed", "excessBlobGas"}
FORKS = ("berlin", "london", "shanghai", "cancun", "prague")


def refused(ask: Any) -> str:
    with pytest.raises(UntrustedError) as caught:
        ask()
    return caught.value.code


@pytest.mark.parametrize("fork", FORKS)
def test_headers_of_every_fork(fork: str) -> None:
    raw = encode_header(header((0, 1, 2, 3), fork=fork))
    block = shapes.block(as_json(raw, keccak256(raw), NAMES, NUMBERS))
    assert block.stored.header == raw
    assert block.head.hash == keccak256(raw)
    assert (block.head.height, block.base_fee) == (7, 7 if fork == "prague" else 0)


def test_headers_of_qbft_are_hashed_as_it_does() -> None:
    made = sealed(header((0, 1, 2, 3), round_=2), (0, 1, 2))
    raw = encode_header(made)
    answer = as_json(raw, made.hash, NAMES, NUMBERS)
    block = shapes.block(answer)
    assert (block.stored.hash, block.stored.header) == (made.hash, raw)
    assert made.hash != keccak256(raw)
    assert refused(lambda: shapes.block(answer | {"hash": "0x" + "00" * 32})) == "header.hash"


@pytest.mark.parametrize(
    ("field", "most"), [("number", (1 << 53) - 1), ("timestamp", MAX_TIME_MS // 1_000)], ids=["height", "time"]
)
def test_heights_and_times_beyond_what_can_be_written_down_are_refused(field: str, most: int) -> None:
    raw = encode_header(header((0, 1, 2, 3), fork="london"))
    answer = as_json(raw, keccak256(raw), NAMES, NUMBERS)
    block = shapes.block(forged(answer, **{field: hex(most)}))
    assert most in (block.head.height, block.head.time)
    for beyond in (most + 1, 1 << 240):
        lie = forged(answer, **{field: hex(beyond)})
        assert refused(lambda lie=lie: shapes.block(lie)) == "chain.answer"


def test_a_header_is_whole() -> None:
    raw = encode_header(header((0, 1, 2, 3), fork="cancun"))
    answer = as_json(raw, keccak256(raw), NAMES, NUMBERS)
    for name in NAMES[:20]:
        expected = "chain.answer" if name in NAMES[:15] else "header.hash"
        short = {key: value for key, value in answer.items() if key != name}
        assert refused(lambda short=short: shapes.block(short)) == expected
        assert refused(lambda name=name: shapes.block(answer | {name: None})) == expected
    assert refused(lambda: shapes.block({})) == "chain.answer"


def signed(kind: int) -> dict[str, Any]:
    """A transaction by an independent signer, as a block shows it."""
    access = [{"address": "0x" + "12" * 20, "storageKeys": ["0x" + "34" * 32]}]
    fields: dict[str, Any] = {"nonce": 3, "gas": 100_000, "to": None, "value": 5, "data": "0xbeef", "chainId": 31337}
    shown: dict[str, Any] = {"nonce": "0x3", "gas": "0x186a0", "to": None, "value": "0x5", "input": "0xbeef"}
    if kind == 2:
        fields |= {"type": 2, "maxFeePerGas": 9, "maxPriorityFeePerGas": 0, "accessList": access}
        shown |= {"type": "0x2", "maxFeePerGas": "0x9", "maxPriorityFeePerGas": "0x0", "accessList": access}
    else:
        fields |= {"gasPrice": 7} | ({"type": 1, "accessList": access} if kind else {})
        shown |= {"gasPrice": "0x7"} | ({"type": "0x1", "accessList": access} if kind else {})
    made = Account.from_key(b"\x11" * 32).sign_transaction(fields)
    shown |= {"chainId": hex(31337), "r": hex(made.r), "s": hex(made.s), "v": hex(made.v)}
    return shown | {"hash": "0x" + made.hash.hex().removeprefix("0x"), "raw": bytes(made.raw_transaction)}


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_transactions_come_back_as_they_were_signed(kind: int) -> None:
    row = signed(kind)
    raw = encode_header(header((0, 1, 2, 3)))
    block = as_json(raw, keccak256(raw), NAMES, NUMBERS)
    found = shapes.block(block | {"transactions": [row]})
    assert found.stored.transactions == (row["raw"],)
    assert found.stored.transaction_hashes == (keccak256(row["raw"]),)
    assert found.nonces == (3,)
    for change in ({"value": "0x6"}, {"s": "0x1"}, {"gas": None}, {"hash": "0x12"}, {"type": "0x9z"}):
        assert refused(lambda change=change: shapes.block(block | {"transactions": [row | change]})) == "chain.answer"


@pytest.mark.parametrize("value", [None, 1, True, "", "0x", "12", "0xg", "0x" + "1" * 65, "0x1 ", "-0x1", ["0x1"]])
def test_numbers_are_strict(value: object) -> None:
    assert refused(lambda: shapes.number(value)) == "chain.answer"


@pytest.mark.parametrize("value", [None, 1, "", "12", "0x1", "0xgg", "0x12 ", b"\x12"])
def test_bytes_are_strict(value: object) -> None:
    assert refused(lambda: shapes.data(value)) == "chain.answer"
    assert refused(lambda: shapes.data("0x1234", 3)) == "chain.answer"


def receipt_answer() -> dict[str, Any]:
    return {
        "transactionHash": "0x" + "01" * 32,
        "blockHash": "0x" + "02" * 32,
        "blockNumber": "0x1",
        "transactionIndex": "0x0",
        "from": "0x" + "03" * 20,
        "to": None,
        "status": "0x1",
        "gasUsed": "0x5208",
        "cumulativeGasUsed": "0x5208",
        "contractAddress": "0x" + "04" * 20,
        "logs": [{"address": "0x" + "05" * 20, "topics": ["0x" + "06" * 32] * 4, "data": "0x"}],
    }


def test_logs_have_at_most_four_topics() -> None:
    receipt = receipt_answer()
    found = shapes.receipt(receipt, 9, b"")
    assert (found.nonce, found.contract, len(found.logs[0].topics)) == (9, b"\x04" * 20, 4)
    assert shapes.receipt(receipt | {"status": "0x0"}, 9, b"").contract is None
    receipt["logs"][0]["topics"] *= 2
    assert refused(lambda: shapes.receipt(receipt, 9, b"")) == "chain.answer"


_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.from_regex(r"0x[0-9a-f]{0,70}", fullmatch=True)
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside a JSON value, itself included."""
    found = [path]
    if isinstance(value, dict):
        found += [place for key, inner in value.items() for place in places(inner, (*path, key))]
    elif isinstance(value, list):
        found += [place for key, inner in enumerate(value) for place in places(inner, (*path, key))]
    return found


def with_value(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """A copy with another value at a path."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = with_value(copy[path[0]], path[1:], new)
    return copy


def block_answer() -> dict[str, Any]:
    raw = encode_header(sealed(header((0, 1, 2, 3), fork="prague"), (0, 1, 2)))
    rows = [{key: value for key, value in signed(kind).items() if key != "raw"} for kind in (0, 1, 2)]
    return as_json(raw, keccak256(raw), NAMES, NUMBERS) | {"transactions": rows}


def proof_answer() -> dict[str, Any]:
    return {"accountProof": ["0x" + "12" * 40] * 2, "storageProof": [{"key": "0x1", "value": "0x2", "proof": ["0x80"]}]}


READERS: dict[str, tuple[Any, Any]] = {
    "block": (block_answer(), shapes.block),
    "receipt": (receipt_answer(), lambda answer: shapes.receipt(answer, 0, b"")),
    "proof": (proof_answer(), lambda answer: shapes.proof(answer, bytes(32), bytes(20), [bytes(32)])),
}


@pytest.mark.parametrize("name", READERS)
@given(data=st.data())
def test_whatever_stands_anywhere_is_read_or_refused(name: str, data: st.DataObject) -> None:
    answer, read = READERS[name]
    path = data.draw(st.sampled_from(places(answer)))
    changed = with_value(answer, path, data.draw(_VALUES))
    try:
        read(changed)
    except UntrustedError as error:
        assert error.code in ("chain.answer", "header.hash", "state.account", "state.storage")  # noqa: PT017
