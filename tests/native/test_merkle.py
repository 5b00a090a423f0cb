"""Native Merkle trees against the naive reference, our vectors and the vectors of others."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import _native
from ledger.errors import InvalidInputError, UntrustedError
from tests.native import fold, make_vectors

REFUSED = (UntrustedError, InvalidInputError)
UPSTREAM = "transparency-dev-merkle/testdata"


def accepts_inclusion(case: dict[str, Any]) -> bool:
    try:
        _native.verify_inclusion(case["leaf"], case["index"], case["size"], case["root"], case["proof"])
    except REFUSED:
        return False
    return True


def accepts_consistency(case: dict[str, Any]) -> bool:
    try:
        _native.verify_consistency(case["size1"], case["size2"], case["root1"], case["root2"], case["proof"])
    except REFUSED:
        return False
    return True


def test_the_fold_of_all_trees_to_130() -> None:
    leaves = fold.fold_leaves()
    roots = [_native.merkle_root(leaves[:size]) for size in range(fold.SIZES + 1)]
    inclusion, consistency = [], []
    for size in range(1, fold.SIZES + 1):
        for index in range(size):
            proof = _native.inclusion_proof(leaves, index, size)
            _native.verify_inclusion(leaves[index], index, size, roots[size], proof)
            inclusion.append(fold.inclusion_item(index, size, leaves[index], roots[size], proof))
            proof = _native.consistency_proof(leaves, index + 1, size)
            _native.verify_consistency(index + 1, size, roots[index + 1], roots[size], proof)
            consistency.append(fold.consistency_item(index + 1, size, roots[index + 1], roots[size], proof))
    chains = [fold.chain(roots), fold.chain(inclusion), fold.chain(consistency)]
    assert [digest.hex() for digest in chains] == [fold.ROOTS, fold.INCLUSION, fold.CONSISTENCY]
    assert fold.fold(*chains).hex() == fold.FOLD


def test_the_naive_reference_comes_to_the_same_fold() -> None:
    leaves = fold.fold_leaves()
    roots = [fold.root(leaves[:size]) for size in range(fold.SIZES + 1)]
    inclusion = fold.chain(
        fold.inclusion_item(index, size, leaves[index], roots[size], fold.path(index, leaves[:size]))
        for size in range(1, fold.SIZES + 1)
        for index in range(size)
    )
    consistency = fold.chain(fold.consistency_item(*case) for case in fold.consistency_cases())
    assert fold.fold(fold.chain(roots), inclusion, consistency).hex() == fold.FOLD


def test_our_vectors_are_what_the_reference_makes() -> None:
    assert make_vectors.FILE.read_text() == make_vectors.render()


def test_our_vectors() -> None:
    def plain(case: dict[str, Any]) -> dict[str, Any]:
        proof = [bytes.fromhex(part) for part in case["proof"]]
        roots = {key: bytes.fromhex(case[key]) for key in ("leaf", "root", "root1", "root2") if key in case}
        return {**case, **roots, "proof": proof}

    cases = json.loads(make_vectors.FILE.read_text())
    wrong = [case for case in cases["inclusion"] if accepts_inclusion(plain(case)) != case["ok"]]
    wrong += [case for case in cases["consistency"] if accepts_consistency(plain(case)) != case["ok"]]
    assert wrong == []
    assert sum(case["ok"] for case in cases["inclusion"]) > 20
    assert sum(case["ok"] for case in cases["consistency"]) > 20


def test_inclusion_vectors_of_others(vectors: Path) -> None:
    files = sorted((vectors / UPSTREAM / "inclusion").rglob("*.json"))
    assert len(files) == 98
    for file in files:
        facts = json.loads(file.read_text())
        case = {
            "leaf": b64decode(facts["leafHash"]),
            "index": facts["leafIdx"],
            "size": facts["treeSize"],
            "root": b64decode(facts["root"]),
            "proof": [b64decode(part) for part in facts["proof"] or []],
        }
        assert accepts_inclusion(case) is not facts["wantErr"], f"{file.name}: {facts['desc']}"


def test_consistency_vectors_of_others(vectors: Path) -> None:
    files = sorted((vectors / UPSTREAM / "consistency").rglob("*.json"))
    assert len(files) == 98
    for file in files:
        facts = json.loads(file.read_text())
        # Some roots are 12-byte placeholders; as in Solidity's bytes32 they are padded, which keeps (in)equality.
        case = {
            "size1": facts["size1"],
            "size2": facts["size2"],
            "root1": b64decode(facts["root1"]).ljust(32, b"\0"),
            "root2": b64decode(facts["root2"]).ljust(32, b"\0"),
            "proof": [b64decode(part) for part in facts["proof"] or []],
        }
        assert accepts_consistency(case) is not facts["wantErr"], f"{file.name}: {facts['desc']}"


def test_the_reference_tree(vectors: Path) -> None:
    tree = json.loads((vectors / "rfc6962-reference-tree" / "tree.json").read_text())
    leaves = [_native.leaf_hash(bytes.fromhex(entry)) for entry in tree["leaves_hex"]]
    assert len(leaves) == 8
    for size, root in enumerate(tree["roots_by_size"]):
        assert _native.merkle_root(leaves[:size]).hex() == root


@given(entries=st.lists(st.binary(max_size=8), min_size=1, max_size=300), data=st.data())
def test_native_and_naive_agree(entries: list[bytes], data: st.DataObject) -> None:
    leaves = [_native.leaf_hash(entry) for entry in entries]
    assert leaves == [fold.leaf(entry) for entry in entries]
    size = data.draw(st.integers(1, len(leaves)))
    index = data.draw(st.integers(0, size - 1))
    assert _native.merkle_root(leaves[:size]) == fold.root(leaves[:size])
    assert _native.inclusion_proof(leaves, index, size) == fold.path(index, leaves[:size])
    assert _native.consistency_proof(leaves, index + 1, size) == fold.proof(index + 1, leaves[:size])


@given(size=st.integers(2, 70), data=st.data())
def test_any_changed_bit_of_a_proof_is_refused(size: int, data: st.DataObject) -> None:
    leaves = fold.fold_leaves()[:size]
    index = data.draw(st.integers(0, size - 1))
    proof = _native.inclusion_proof(leaves, index, size)
    at, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
    proof[at] = (int.from_bytes(proof[at], "big") ^ 1 << bit).to_bytes(32, "big")
    with pytest.raises(UntrustedError, match=r"\[merkle\.inclusion\]"):
        _native.verify_inclusion(leaves[index], index, size, _native.merkle_root(leaves), proof)


NUMBERS = st.integers(0, 2**64 - 1) | st.integers(2**64 - 3, 2**64 - 1) | st.integers(0, 3)


@given(one=NUMBERS, two=NUMBERS, proof=st.lists(st.sampled_from([bytes(32), b"\1" * 32]), max_size=66))
def test_no_numbers_break_the_verifiers(one: int, two: int, proof: list[bytes]) -> None:
    root1, root2 = b"\2" * 32, b"\3" * 32
    with pytest.raises(UntrustedError, match=r"\[merkle\."):
        _native.verify_inclusion(root1, one, two, root2, proof)
    with pytest.raises(UntrustedError, match=r"\[merkle\."):
        _native.verify_consistency(one, two, root1, root2, proof)


def test_arguments_are_refused_with_our_errors() -> None:
    zero = bytes(32)
    for arguments in [(zero[:31], 0, 1, zero, []), (zero, -1, 1, zero, []), (zero, 1 << 64, 1, zero, [])]:
        with pytest.raises(InvalidInputError, match=r"\[input\."):
            _native.verify_inclusion(*arguments)
    with pytest.raises(InvalidInputError, match=r"\[merkle\.size\]"):
        _native.inclusion_proof([zero], 0, 2)
    with pytest.raises(InvalidInputError, match=r"\[merkle\.index\]"):
        _native.inclusion_proof([zero], 1, 1)
    with pytest.raises(InvalidInputError, match=r"\[merkle\.size\]"):
        _native.consistency_proof([zero, zero], 2, 1)


def test_the_empty_tree_proves_nothing() -> None:
    empty = _native.merkle_root([])
    _native.verify_consistency(0, 0, empty, empty, [])
    with pytest.raises(UntrustedError, match=r"\[merkle\.empty\]"):
        _native.verify_consistency(0, 1, empty, bytes(32), [])
