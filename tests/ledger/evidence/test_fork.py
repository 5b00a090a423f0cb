"""A fork is proven by two signed notes and nothing else; what proves none is refused, whoever made it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import codec
from ledger.errors import InvalidInputError, LedgerError, UntrustedError
from ledger.evidence import merkle
from ledger.evidence.checkpoint import (
    ED25519_NOTE,
    Checkpoint,
    VKey,
    add_signature,
    cosign,
    format_checkpoint,
    sign_note,
)
from ledger.evidence.fork import MAX_EVIDENCE_BYTES, ForkEvidence, VerifiedFork, path_roots
from ledger.keys import Ed25519Signer
from ledger.model import KeyRole

ORIGIN = "310000.audit.civicledger/log"
LOG, LATER = (Ed25519Signer(KeyRole.LOG, seed * 32) for seed in (b"l", b"m"))
KEYS = tuple(VKey(name=ORIGIN, type=ED25519_NOTE, public=one.public) for one in (LOG, LATER))
STRANGER = VKey(name=ORIGIN, type=ED25519_NOTE, public=Ed25519Signer(KeyRole.LOG, b"x" * 32).public)
LEAVES = [merkle.leaf_hash(bytes([number])) for number in range(40)]
FORKED = [*LEAVES[:3], merkle.leaf_hash(b"fork"), *LEAVES[4:]]


def note(size: int, leaves: list[bytes] = LEAVES, signer: Ed25519Signer = LOG, origin: str = ORIGIN) -> bytes:
    root = merkle.root(leaves[:size]) if size else merkle.EMPTY_ROOT
    return sign_note(format_checkpoint(Checkpoint(origin=origin, size=size, root=root)), origin, signer)


def path(leaves: list[bytes], size1: int, size2: int) -> tuple[bytes, ...]:
    """The consistency path with its starting hash: where that is the smaller root itself, a proof leaves it out."""
    proof = merkle.consistency_proof(leaves, size1, size2)
    return (merkle.root(leaves[:size1]), *proof) if size1 & (size1 - 1) == 0 else proof


def test_two_roots_of_one_size() -> None:
    found = ForkEvidence.make(note(5), note(5, FORKED), KEYS)
    verified = found.verify(KEYS)
    assert (verified.first.size, verified.second.size) == (5, 5)
    assert verified.first.root != verified.second.root
    assert found.keys == KEYS[:1]
    assert ForkEvidence.make(note(5, FORKED), note(5), KEYS) == found, "the order it was seen in does not matter"


@given(st.integers(4, 39), st.integers(1, 36), st.booleans())
def test_a_smaller_tree_that_is_not_the_beginning(size1: int, more: int, swapped: bool) -> None:
    size2 = min(size1 + more, 40)
    ours, theirs = (FORKED, LEAVES) if swapped else (LEAVES, FORKED)
    if size2 == size1:
        return
    found = ForkEvidence.make(note(size1, ours), note(size2, theirs), KEYS, path(theirs, size1, size2))
    assert ForkEvidence.decode(found.encode()) == found
    assert found.verify(KEYS[:1]).second.size == size2
    # The honest continuation proves nothing, with whatever path.
    for tree in (ours, theirs):
        with pytest.raises(UntrustedError) as caught:
            ForkEvidence.make(note(size1, ours), note(size2, ours), KEYS, path(tree, size1, size2))
        assert caught.value.code == "fork.none"


@given(st.integers(1, 39), st.integers(1, 39))
def test_the_path_leads_to_both_roots(one: int, other: int) -> None:
    size1, size2 = sorted((one, other))
    if size1 == size2:
        size2 += 1
    found = path_roots(size1, size2, path(LEAVES, size1, size2))
    assert found == (merkle.root(LEAVES[:size1]), merkle.root(LEAVES[:size2]))


def test_a_path_of_another_length_is_refused() -> None:
    good = path(LEAVES, 5, 11)
    for bad in (good[:-1], (*good, bytes(32)), ()):
        with pytest.raises(InvalidInputError) as caught:
            path_roots(5, 11, bad)
        assert caught.value.code == "fork.path"
    for sizes in ((0, 5), (5, 5), (6, 5)):
        with pytest.raises(InvalidInputError):
            path_roots(*sizes, good)


def test_a_rotation_between_the_two_does_not_hide_it() -> None:
    found = ForkEvidence.make(note(5), note(5, FORKED, LATER), KEYS)
    assert set(found.keys) == set(KEYS)
    assert isinstance(found.verify(KEYS), VerifiedFork)
    with pytest.raises(UntrustedError):
        found.verify(KEYS[:1])


def test_cosignatures_are_dropped_so_that_one_fork_is_one_document() -> None:
    witness = Ed25519Signer(KeyRole.WITNESS, b"w" * 32)
    text = note(5).decode().split("\n\n")[0] + "\n"
    cosigned = add_signature(note(5), cosign(text, "310000.tax.civicledger/witness", witness, 1_795_318_905))
    assert (
        ForkEvidence.make(cosigned, note(5, FORKED), KEYS).digest
        == ForkEvidence.make(note(5), note(5, FORKED), KEYS).digest
    )


@pytest.mark.parametrize(
    ("one", "other", "trail", "code"),
    [
        (note(5), note(5), (), "fork.none"),
        (note(5), note(5, FORKED), (bytes(32),), "fork.none"),
        (note(5), note(9), path(FORKED, 5, 9), "fork.none"),
        (note(5), note(9), path(LEAVES, 5, 9), "fork.none"),
        (note(5), note(9, FORKED), (), "fork.path"),
        (note(0), note(9), path(LEAVES, 5, 9), "fork.none"),
        (note(5), note(5, FORKED, origin="310000.tax.civicledger/log"), (), "checkpoint.log-signature"),
        (note(5), note(5, FORKED, Ed25519Signer(KeyRole.LOG, b"x" * 32)), (), "checkpoint.log-signature"),
        (note(5), b"no note", (), "note.structure"),
    ],
)
def test_what_proves_nothing_is_refused(one: bytes, other: bytes, trail: tuple[bytes, ...], code: str) -> None:
    with pytest.raises(LedgerError) as caught:
        ForkEvidence.make(one, other, KEYS, trail)
    assert caught.value.code == code


def test_nobody_is_accused_by_another_key() -> None:
    found = ForkEvidence.make(note(5), note(5, FORKED), KEYS)
    for keys in ((), (STRANGER,)):
        with pytest.raises(UntrustedError) as caught:
            found.verify(keys)
        assert caught.value.code == "checkpoint.log-signature"


def test_a_verified_fork_cannot_be_made_up() -> None:
    head = Checkpoint(origin=ORIGIN, size=1, root=bytes(32))
    with pytest.raises(TypeError):
        VerifiedFork(origin=ORIGIN, first=head, second=head, keys=KEYS, seal=object())


def _changed(**changes: object) -> bytes:
    value = json.loads(ForkEvidence.make(note(5), note(9, FORKED), KEYS, path(FORKED, 5, 9)).encode())
    return codec.encode({name: item for name, item in (value | changes).items() if item is not None})


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{}", b"[]", _changed(format="civicledger/fork-evidence/v2"), _changed(more=1), _changed(path=None),
        _changed(keys=[]), _changed(keys=[str(KEYS[0]), str(KEYS[0])]), _changed(keys=["x"]), _changed(origin="a b"),
        _changed(path=["AAAA"]), _changed(path=[codec.b64(bytes(32))] * 65), _changed(first=1),
        _changed() + b"\n", b" " + _changed(), _changed(first="x" * MAX_EVIDENCE_BYTES),
    ],
)  # fmt: skip
def test_documents_that_are_none(data: bytes) -> None:
    with pytest.raises(InvalidInputError) as caught:
        ForkEvidence.decode(data)
    assert caught.value.code == "fork.format"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"keys": sorted(str(key) for key in KEYS)}, "fork.format"),
        ({"origin": "310000.tax.civicledger/log"}, "fork.none"),
        ({"first": note(9, FORKED).decode(), "second": note(5).decode()}, "fork.format"),
        ({"first": (note(5) + "— other AAAAAAAA\n".encode()).decode()}, "fork.format"),
        ({"second": note(10, FORKED).decode()}, "fork.none"),
        ({"second": note(8, FORKED).decode()}, "fork.path"),
    ],
)
def test_a_decoded_document_is_judged_again(changes: dict[str, object], code: str) -> None:
    found = ForkEvidence.decode(_changed(**changes))
    with pytest.raises(LedgerError) as caught:
        found.verify(KEYS)
    assert caught.value.code == code


@given(st.data())
def test_any_changed_byte_is_noticed(data: st.DataObject) -> None:
    document = _changed()
    place = data.draw(st.integers(0, len(document) - 1))
    spoiled = bytearray(document)
    spoiled[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(LedgerError):
        ForkEvidence.decode(bytes(spoiled)).verify(KEYS)
