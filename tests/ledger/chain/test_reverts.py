"""Every custom error of the contracts has plain words; revert data of any kind becomes one of our errors."""

from __future__ import annotations

import re
import string

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from ledger.chain.abi import CONTRACTS, Signature, interface
from ledger.chain.refusals import REFUSALS
from ledger.chain.refusals_zh import CHINESE, in_chinese
from ledger.chain.reverts import decode_revert, error_code, revert_error
from ledger.errors import ConflictError, InvalidInputError, LedgerError, NotAllowedError, NotFoundError

ERRORS: dict[str, Signature] = {
    signature.name: signature for name in CONTRACTS for signature in interface(name).errors.values()
}


def test_the_table_has_exactly_the_contracts_errors() -> None:
    assert set(REFUSALS) == set(ERRORS)


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_each_error_decodes_to_words_that_use_its_own_arguments(name: str) -> None:
    signature, refusal = ERRORS[name], REFUSALS[name]
    used = {field for _, field, _, _ in string.Formatter().parse(refusal.message) if field}
    assert used <= set(signature.input_names)
    values = [_sample(kind) for kind in signature.inputs]
    data = signature.selector + encode(signature.inputs, values)
    decoded, args, message = decode_revert(data)
    assert decoded == name
    assert list(args) == list(signature.input_names)
    error = revert_error(data)
    assert type(error) is refusal.kind
    assert error.message == message
    assert "{" not in message + error.hint
    assert error.hint
    assert re.fullmatch(
        r"contract\.(consortium|consorted|directory|grants|anchors|licences|recognition)-[a-z0-9-]+", error.code
    )


def test_every_refusal_has_chinese_words() -> None:
    assert set(CHINESE) == set(REFUSALS)


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_each_error_is_said_in_chinese_with_its_own_values(name: str) -> None:
    signature = ERRORS[name]
    fields = [_sample(kind, at) for at, kind in enumerate(signature.inputs)]
    error = revert_error(signature.selector + encode(signature.inputs, fields))
    found = in_chinese(error.code, error.message, error.hint)
    assert found is not None
    for words in found:
        assert re.search("[\u4e00-\u9fff]", words)
        assert "{" not in words
        shown = re.findall(r"0x[0-9a-f]{64}|0x[0-9a-f]{40}|value-\d+|(?<!\d)10\d\d(?!\d)", words)
        told = re.findall(r"0x[0-9a-f]{64}|0x[0-9a-f]{40}|value-\d+|(?<!\d)10\d\d(?!\d)", error.message + error.hint)
        assert set(shown) <= set(told)
    values = re.findall(r"\{(\w+)\}", REFUSALS[name].message)
    assert sorted(values) == sorted(re.findall(r"\{(\w+)\}", CHINESE[name][0]))


def test_a_carried_proposal_that_could_not_be_carried_out_is_said_in_chinese() -> None:
    error = revert_error(ERRORS["Consortium__TooFewValidators"].selector + encode(["uint256", "uint256"], [3, 4]))
    before = f"the vote is cast and proposal 12 is carried, but not carried out: {error.message}"
    found = in_chinese(error.code, before, error.hint + "; then: civicledger member execute 12")
    assert found is not None
    assert found[0] == "已投票，提案 12 已通过，但未能执行：将只剩 3 个验证者，至少需要 4 个"
    assert found[1].endswith("civicledger member execute 12")
    assert in_chinese("peer.unreachable", error.message, error.hint) is None
    assert in_chinese(error.code, "words of another version", error.hint) is None


def test_codes_are_stable_and_distinct() -> None:
    assert error_code("Grants__WrongDeadline") == "contract.grants-wrong-deadline"
    assert error_code("Consorted__NotAContract") == "contract.consorted-not-acontract"
    assert len({error_code(name) for name in ERRORS}) == len(ERRORS)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Consortium__NotActiveMember", NotAllowedError),
        ("Grants__UnknownGrant", NotFoundError),
        ("Grants__WrongDeadline", InvalidInputError),
        ("Anchors__ProofFails", ConflictError),
    ],
)
def test_who_must_act(name: str, kind: type[LedgerError]) -> None:
    assert REFUSALS[name].kind is kind


def test_members_are_shown_by_their_code_and_ids_as_hex() -> None:
    member = b"11310000MB2F00001F".ljust(32, b"\0")
    error = interface("Anchors").errors
    signature = next(item for item in error.values() if item.name == "Anchors__NotOwnLog")
    _, _, message = decode_revert(signature.encode(member, b"\xff" * 32))
    assert "11310000MB2F00001F" in message
    assert "0x" + "ff" * 32 in message


def test_solidity_s_own_reverts() -> None:
    text = bytes.fromhex("08c379a0") + encode(["string"], ["out of paper"])
    assert decode_revert(text)[0] == "Error"
    assert "out of paper" in revert_error(text).message
    panic = bytes.fromhex("4e487b71") + encode(["uint256"], [0x11])
    assert decode_revert(panic)[1] == {"code": 0x11}
    assert "overflow" in revert_error(panic).message
    assert revert_error(b"").code == "contract.reverted"
    assert "no reason" in revert_error(b"").message


@given(st.one_of(st.binary(max_size=100), st.sampled_from(sorted(s.selector for s in ERRORS.values())).flatmap(
    lambda selector: st.binary(max_size=100).map(lambda rest: selector + rest))))  # fmt: skip
def test_any_bytes_become_an_error_and_never_an_exception(data: bytes) -> None:
    error = revert_error(data)
    assert error.code.startswith("contract.")
    assert error.message


def _sample(kind: str, at: int = 0) -> object:
    if kind == "address":
        return "0x" + f"{0x11 + at:02x}" * 20
    if kind == "bool":
        return True
    if kind == "uint8":
        return 7 + at
    if kind.startswith("uint"):
        return 1_001 + at
    assert kind == "bytes32", kind
    return f"value-{at}".encode().ljust(32, b"\0")
