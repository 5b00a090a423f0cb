"""The verifier against the real thing: our contracts, our state machine, our log engine, nothing synthetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger import codec
from ledger.errors import UntrustedError
from ledger.evidence import merkle, state
from ledger.evidence.bundle import (
    assemble,
    decode_parts,
    encode_parts,
    exact_note,
)
from ledger.evidence.checkpoint import (
    Checkpoint,
    add_signature,
    cosign,
    format_checkpoint,
    parse_note,
    sign_note,
)
from ledger.model import KeyRole, Record
from ledger.verify import verify_bundle
from tests.ledger.evidence.real_city import T0_MS, RealCity, real_city


@pytest.fixture
def real(tmp_path: Path) -> Iterator[RealCity]:
    with real_city(tmp_path) as city:
        yield city


def test_a_real_bundle_is_verified_and_stays_so(real: RealCity) -> None:
    for number in range(20):
        real.append(number)
    first = real.anchor()
    assert decode_parts(encode_parts(first)) == first
    bundle = real.bundle(7, first)
    policy = real.policy()
    verdict = verify_bundle(bundle, policy)
    assert (verdict.verdict, verdict.finality, verdict.index, verdict.size) == ("verified", "single-signer", 7, 20)
    assert verdict.record.body == {"proposal": 7, "yes": True}
    for number in range(300):
        real.append(number)
    second = real.anchor()
    assert verify_bundle(real.bundle(7, second), policy).size == 320
    assert verify_bundle(real.bundle(319, second), policy).index == 319
    assert verify_bundle(bundle, policy) == verdict, "what was taken away earlier needs nothing later"


def test_an_old_note_under_a_newer_state_is_refused(real: RealCity) -> None:
    """A bundle uses the newest anchored checkpoint: the state of a block holds one head per log."""
    real.append(1)
    first = real.anchor()
    real.append(2)
    real.anchor()
    with pytest.raises(UntrustedError) as caught:
        verify_bundle(real.bundle(0, real.prove(first.note)), real.policy())
    assert caught.value.code == "anchor.size"


def test_an_unanchored_head_is_not_proven_by_the_block_before(real: RealCity) -> None:
    real.append(1)
    first = real.anchor()
    real.append(2)
    note = real.log.publish()
    text = parse_note(note).text
    for key, member in real.witnesses().items():
        note = add_signature(note, cosign(text, key.name, member.signer(KeyRole.WITNESS), real.now_ms // 1000))
    exact = exact_note(note, real.log_key(), list(real.witnesses()), 5)
    with pytest.raises(UntrustedError) as caught:
        verify_bundle(real.bundle(1, replace(first, note=exact)), real.policy())
    assert caught.value.code == "anchor.size"


def test_the_state_read_by_slots_is_the_state_the_contracts_tell(real: RealCity) -> None:
    real.append(1)
    real.anchor()
    native, consortium = real.chain.native, real.contracts.consortium
    address = consortium.address

    def slot(where: bytes, of: bytes = address) -> bytes:
        return native.storage(of, where)

    for member in real.members:
        told = consortium.member(member.uscc)
        where = state.member_slots(member.uscc)
        read = state.decode_member(member.uscc, slot(where.packed), slot(where.handle), slot(where.account))
        assert read == told
        assert slot(state.member_of_slot(member.account.address))[:18] == member.uscc.encode()
        for key in consortium.keys(member.uscc):
            places = state.key_slots(key.material)
            assert state.decode_key(key.material, slot(places.member), slot(places.packed)) == key
    assert state.decode_count(slot(state.active_count_slot())) == 5
    anchors = real.contracts.anchors
    assert state.decode_address(slot(state.contract_slot("Anchors"))) == anchors.address
    told_anchor = anchors.anchor(real.owner.uscc)
    where_anchor = state.anchor_slots(real.owner.uscc)
    read_anchor = state.decode_anchor(
        slot(where_anchor.root, anchors.address), slot(where_anchor.packed, anchors.address)
    )
    assert told_anchor is not None
    assert read_anchor is not None
    assert (read_anchor.root, read_anchor.size, read_anchor.time, read_anchor.generation) == (
        told_anchor.root, told_anchor.size, told_anchor.time, told_anchor.generation,
    )  # fmt: skip


def test_the_chain_refuses_a_rewritten_log_and_the_verifier_its_bundle(real: RealCity) -> None:
    """The contract checks the consistency proof itself; what then is not anchored is not verified."""
    real.append(1)
    parts = real.anchor()
    entry = codec.encode_record(
        Record(type="member.voted", member=real.owner.uscc, time_ms=T0_MS, body={"proposal": 1, "yes": False})
    )
    forged = Checkpoint(origin=real.log_key().name, size=2, root=merkle.root([merkle.leaf_hash(entry)] * 2))
    data = real.contracts.anchors.encode_record(real.owner.uscc, 2, forged.root, [merkle.leaf_hash(entry)])
    assert not real.send(data)
    text = format_checkpoint(forged)
    note = sign_note(text, forged.origin, real.owner.signer(KeyRole.LOG))
    for key, member in real.witnesses().items():
        note = add_signature(note, cosign(text, key.name, member.signer(KeyRole.WITNESS), real.now_ms // 1000))
    exact = exact_note(note, real.log_key(), list(real.witnesses()), 5)
    bundle = assemble(entry, 0, (merkle.leaf_hash(entry),), replace(parts, note=exact))
    with pytest.raises(UntrustedError) as caught:
        verify_bundle(bundle, real.policy())
    assert caught.value.code == "anchor.size"
