"""The Rfc6962 library: vectors of others, our own vectors, a naive reference, and the fold over all trees to 130."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import pytest
from contract_targets import Target, examples
from eth_abi import encode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from merkle_reference import consistency_proof, node_hash, root

from contracts.build import SOURCES, compile_sources

ROOT = Path(__file__).resolve().parents[2]
NATIVE = ROOT / "tests" / "native"
CASES_A_CALL = 250
Case = tuple[int, int, bytes, bytes, Sequence[bytes]]
Check = Callable[..., tuple[list[bool], bytes]]

#: Cases of transparency-dev/merkle that Solidity's types cannot hold: a root or a hash that is not 32 bytes long. All
#: but one want an error; the one (equal sizes and equal roots of 12 bytes) has its likeness with 32 bytes below.
NOT_EXPRESSIBLE = {
    *(
        f"{n}/{name}"
        for n in "1234"
        for name in ("preceding-garbage", "trailing-garbage", "wrong-root1", "wrong-root2")
    ),
    "additional/roots-do-not-match-and-sizes-are-zero",
    "additional/roots-do-not-not-match-and-sizes-are-one",
    "additional/size1-is-greater-than-size2",
    "additional/size1-is-greater-than-size2-again",
    "additional/size1-is-zero-and-does-not-equal-size2",
    "additional/size1-is-zero-and-size2-is-not-zero",
    "additional/sizes-are-equal-one-and-proof-is-empty",
    "additional/sizes-are-equal-one-but-roots-are-not",
    "additional/sizes-are-equal-zero-and-proof-is-empty",
    "additional/sizes-are-equal-zero-but-roots-are-not",
    "additional/sizes-do-not-watch-and-proof-is-empty",
}


@pytest.fixture(scope="module")
def probe() -> str:
    """Creation code of the probe, compiled with the library as it stands in contracts/src."""
    sources = {name: (folder / name).read_text("utf-8") for folder, name in _probe_files()}
    made = compile_sources(sources, ("Rfc6962Probe",))
    return str(made["contracts"]["Rfc6962Probe.sol"]["Rfc6962Probe"]["evm"]["bytecode"]["object"])


@pytest.fixture
def check(city: object, target: Target, probe: str) -> Check:
    """(accepted?, chain) of many cases in as few calls as fit."""

    def ask(cases: Sequence[Case], chain: bytes = bytes(32)) -> tuple[list[bool], bytes]:
        accepted: list[bool] = []
        for start in range(0, len(cases), CASES_A_CALL):
            part = cases[start : start + CASES_A_CALL]
            arguments = encode(["(uint64,uint64,bytes32,bytes32,bytes32[])[]", "bytes32"], [part, chain])
            call = {"data": "0x" + probe + arguments.hex(), "gas": hex(200_000_000)}
            answer = bytes.fromhex(target.rpc("eth_call", call, "latest")[2:])
            accepted += [byte == 1 for byte in answer[: len(part)]]
            chain = answer[len(part) :]
        return accepted, chain

    return ask


def test_vectors_of_others(check: Check) -> None:
    folder = Path(os.environ.get("CIVICLEDGER_VECTORS") or ROOT.parent / "shared" / "vectors")
    folder = folder / "transparency-dev-merkle" / "testdata" / "consistency"
    if not folder.is_dir():
        pytest.skip(f"vectors of others are not on this machine ({folder}); set CIVICLEDGER_VECTORS")
    cases: dict[str, tuple[Case, bool]] = {}
    left_out = set()
    for file in sorted(folder.glob("**/*.json")):
        name = str(file.relative_to(folder).with_suffix(""))
        entry = json.loads(file.read_text("utf-8"))
        roots = [base64.b64decode(entry[key] or "") for key in ("root1", "root2")]
        proof = [base64.b64decode(item) for item in entry["proof"] or []]
        if any(len(item) != 32 for item in [*roots, *proof]):
            left_out.add(name)
        else:
            cases[name] = ((entry["size1"], entry["size2"], *roots, proof), not entry["wantErr"])
    assert left_out == NOT_EXPRESSIBLE
    assert len(cases) + len(left_out) == 98
    accepted, _ = check([case for case, _ in cases.values()])
    assert dict(zip(cases, accepted, strict=True)) == {name: wanted for name, (_, wanted) in cases.items()}


def test_our_own_vectors(check: Check) -> None:
    entries = json.loads((NATIVE / "merkle_vectors.json").read_text("utf-8"))["consistency"]
    wide = [entry for entry in entries if any(len(text) != 64 for text in _hashes(entry)) or entry["size2"] >= 2**64]
    fitting = [entry for entry in entries if entry not in wide]
    assert all(not entry["ok"] for entry in wide)
    assert len(fitting) > 200
    cases = [
        (
            entry["size1"],
            entry["size2"],
            bytes.fromhex(entry["root1"]),
            bytes.fromhex(entry["root2"]),
            [bytes.fromhex(text) for text in entry["proof"]],
        )
        for entry in fitting
    ]
    accepted, _ = check(cases)
    # An empty first tree is nothing this library vouches for; Anchors decides about the beginning of a log itself.
    wrong = [
        (entry["case"], entry["size1"], entry["size2"])
        for entry, answer in zip(fitting, accepted, strict=True)
        if answer != (entry["ok"] and entry["size1"] > 0)
    ]
    assert wrong == []


def test_the_fold_over_all_trees_to_130(check: Check) -> None:
    fold = _fold()
    accepted, chain = check(list(fold.consistency_cases()))
    assert len(accepted) == 130 * 131 // 2
    assert all(accepted)
    assert chain.hex() == fold.CONSISTENCY


@settings(max_examples=examples(12), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_against_the_naive_reference(check: Check, data: st.DataObject) -> None:
    """Right proofs pass; with one bit, one hash, one size or a root changed they do not."""
    size2 = data.draw(st.integers(2, 200))
    size1 = data.draw(st.integers(1, size2 - 1))
    leaves = [hashlib.sha256(bytes([number])).digest() for number in range(size2)]
    proof = consistency_proof(leaves, size1, size2)
    good: Case = (size1, size2, root(leaves[:size1]), root(leaves), proof)
    bad: list[Case] = [
        (size1, size2, good[2], good[3], proof[:-1]),
        (size1, size2, good[2], good[3], [*proof, bytes(32)]),
        (size1, size2, good[2], good[3], [bytes(32), *proof]),
        (size1, size2, good[3], good[3], proof),
        (size1, size2, good[2], good[2], proof),
        (size2, size1, good[2], good[3], proof),
        (0, size2, good[2], good[3], proof),
        (0, size2, hashlib.sha256(b"").digest(), good[3], []),
        (size1, size1, good[2], good[2], proof),
    ]
    place, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
    flipped = (int.from_bytes(proof[place], "big") ^ (1 << bit)).to_bytes(32, "big")
    bad.append((size1, size2, good[2], good[3], [*proof[:place], flipped, *proof[place + 1 :]]))
    accepted, _ = check([good, (size2, size2, good[3], good[3], []), *bad])
    assert accepted == [True, True] + [False] * len(bad)


def test_the_largest_sizes(check: Check) -> None:
    """A tree of 2^63 leaves and one more: the sizes do not overflow."""
    half, leaf = hashlib.sha256(b"half").digest(), hashlib.sha256(b"leaf").digest()
    top = 2**63
    both = node_hash(half, leaf)
    cases: list[Case] = [
        (top, top + 1, half, both, [leaf]),
        (top, top + 2, half, both, [leaf]),
        (top, 2**64 - 1, half, both, [leaf]),
        (2**64 - 1, 2**64 - 1, half, half, []),
        (2**64 - 1, 2**64 - 1, half, leaf, []),
        (2**64 - 1, top, half, both, [leaf]),
    ]
    # Sizes whose path has one hash fit with any sizes of the same shape: only the count of the halves is in the proof.
    assert check(cases)[0] == [True, True, True, True, False, False]


def _hashes(entry: dict[str, object]) -> list[str]:
    return [str(entry["root1"]), str(entry["root2"]), *entry["proof"]]  # type: ignore[misc]


def _probe_files() -> list[tuple[Path, str]]:
    return [(SOURCES, "Rfc6962.sol"), (Path(__file__).parent, "Rfc6962Probe.sol")]


def _fold() -> ModuleType:
    spec = importlib.util.spec_from_file_location("fold", NATIVE / "fold.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
