"""Calldata and answers: what is encoded decodes to the same; any other bytes are called untrusted, never worse."""

from __future__ import annotations

from typing import Any

import pytest
from eth_utils.abi import event_abi_to_log_topic, function_abi_to_4byte_selector
from hypothesis import given
from hypothesis import strategies as st

import contracts
from ledger.chain.abi import CONTRACTS, Signature, interface
from ledger.errors import UntrustedError

FUNCTIONS: list[Signature] = [
    function for name in CONTRACTS for _, function in sorted(interface(name).functions.items()) if function.outputs
]
EVENTS: list[tuple[str, bytes, Signature]] = [
    (name, topic, event) for name in CONTRACTS for topic, event in sorted(interface(name).events.items())
]


@pytest.mark.parametrize("name", CONTRACTS)
def test_selectors_are_as_others_compute_them(name: str) -> None:
    abi = contracts.artifact(name).abi
    theirs = {item["name"]: function_abi_to_4byte_selector(item) for item in abi if item["type"] == "function"}
    assert {function.name: function.selector for function in interface(name).functions.values()} == theirs
    topics = {item["name"]: event_abi_to_log_topic(item) for item in abi if item["type"] == "event"}
    assert {event.name: topic for topic, event in interface(name).events.items()} == topics


@given(st.sampled_from(FUNCTIONS), st.binary(max_size=400))
def test_any_answer_decodes_or_is_untrusted(function: Signature, data: bytes) -> None:
    try:
        values = function.decode_output(data)
    except UntrustedError:
        return
    assert len(values) == len(function.outputs)


@given(st.sampled_from(EVENTS), st.lists(st.binary(min_size=32, max_size=32), max_size=4), st.binary(max_size=300))
def test_any_event_decodes_or_is_untrusted(
    event: tuple[str, bytes, Signature], topics: list[bytes], data: bytes
) -> None:
    name, topic, signature = event
    try:
        decoded = interface(name).decode_event([topic, *topics], data)
    except UntrustedError:
        return
    assert decoded is not None
    assert (decoded.contract, decoded.name) == (name, signature.name)
    assert tuple(decoded.args) == signature.input_names


def _values(kind: str) -> st.SearchStrategy[Any]:
    if kind == "bytes32":
        return st.binary(min_size=32, max_size=32)
    if kind == "bytes":
        return st.binary(max_size=100)
    if kind == "string":
        return st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
    if kind == "bool":
        return st.booleans()
    if kind == "address":
        return st.binary(min_size=20, max_size=20).map(lambda value: "0x" + value.hex())
    if kind.endswith("[]"):
        return st.lists(_values(kind[:-2]), max_size=4).map(tuple)
    if kind.startswith("("):
        assert "(" not in kind[1:], "no tuple in a tuple stands in our interfaces"
        return st.tuples(*map(_values, kind[1:-1].split(",")))
    assert kind.startswith("uint"), kind
    return st.integers(0, 2 ** int(kind[4:]) - 1)


@given(st.data())
def test_arguments_survive_the_way(data: st.DataObject) -> None:
    plain = [function for name in CONTRACTS for function in interface(name).functions.values() if function.inputs]
    function = data.draw(st.sampled_from(sorted(plain, key=lambda item: item.selector)))
    values = tuple(data.draw(_values(kind)) for kind in function.inputs)
    encoded = function.encode(*values)
    assert encoded[:4] == function.selector
    assert function.decode_input(encoded) == values
