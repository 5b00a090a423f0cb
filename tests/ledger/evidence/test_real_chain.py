"""The verifier against the real thing: our contracts, our state machine, our log engine, nothing synthetic."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ledger import codec
from ledger.chain.account import sign_transaction
from ledger.chain.bindings import Contracts
from ledger.chain.devnet import CHAIN_ID, DevMember, dev_genesis, dev_members
from ledger.chain.engine import EmbeddedChain
from ledger.chain.genesis import contract_addresses
from ledger.errors import UntrustedError
from ledger.evidence import merkle, state
from ledger.evidence.bundle import (
    AnchorEvidence,
    AnchorParts,
    anchors_slots,
    assemble,
    consortium_slots,
    contract_evidence,
    decode_parts,
    encode_parts,
    exact_note,
)
from ledger.evidence.checkpoint import (
    ED25519_COSIGNATURE,
    ED25519_NOTE,
    Checkpoint,
    VKey,
    add_signature,
    cosign,
    format_checkpoint,
    parse_checkpoint,
    parse_note,
    sign_note,
)
from ledger.evidence.finality import Head, Validator, make_solo, sign_head
from ledger.evidence.policy import Pin, TrustPolicy, encode_policy
from ledger.log import DepartmentLog
from ledger.model import KeyRole, Record
from ledger.storage.chainstate import ChainStore
from ledger.storage.store import Store
from ledger.verify import verify_bundle

T0_MS = 1_795_318_800_000


@dataclass(slots=True)
class RealCity:
    """Five members' chain in one process, and the log of member 1."""

    chain: EmbeddedChain
    contracts: Contracts
    members: tuple[DevMember, ...]
    log: DepartmentLog
    now_ms: int = T0_MS

    @property
    def owner(self) -> DevMember:
        return self.members[1]

    def append(self, proposal: int) -> int:
        self.now_ms += 500
        body = {"proposal": proposal, "yes": True}
        return self.log.append_record(
            Record(type="member.voted", member=self.owner.uscc, time_ms=self.now_ms, body=body)
        )

    def witnesses(self) -> dict[VKey, DevMember]:
        found = {}
        for member in self.members:
            info = self.contracts.consortium.member(member.uscc)
            assert info is not None
            if member is not self.owner:
                public = member.signer(KeyRole.WITNESS).public
                found[VKey(name=info.witness_name, type=ED25519_COSIGNATURE, public=public)] = member
        return found

    def log_key(self) -> VKey:
        info = self.contracts.consortium.member(self.owner.uscc)
        assert info is not None
        return VKey(name=info.origin, type=ED25519_NOTE, public=self.owner.signer(KeyRole.LOG).public)

    def anchor(self) -> AnchorParts:
        """Publish, cosign by all, anchor in a block, finalise, prove: what a node does."""
        note = self.log.publish()
        text = parse_note(note).text
        keys = self.witnesses()
        for key, member in keys.items():
            note = add_signature(note, cosign(text, key.name, member.signer(KeyRole.WITNESS), self.now_ms // 1000))
        note = exact_note(note, self.log_key(), list(keys), 5)
        head = parse_checkpoint(text)
        anchored = self.contracts.anchors.anchor(self.owner.uscc)
        proof = self.log.prove_consistency(anchored.size, head.size) if anchored else []
        data = self.contracts.anchors.encode_record(self.owner.uscc, head.size, head.root, proof)
        assert self.send(data)
        return self.prove(note)

    def send(self, data: bytes) -> bool:
        """A transaction to Anchors by the log's member, in a block of its own; whether it took effect."""
        account, to = self.owner.account, self.contracts.anchors.address
        nonce = self.chain.pending_nonce(account.address)
        raw = sign_transaction(account, chain_id=CHAIN_ID, nonce=nonce, to=to, data=data, gas=4_000_000)
        hash_ = self.chain.submit(raw)
        self.now_ms += 1000
        self.chain.produce(self.now_ms)
        receipt = self.chain.receipt(hash_)
        assert receipt is not None
        return receipt.succeeded

    def prove(self, note: bytes) -> AnchorParts:
        """Evidence under the present head."""
        keys = self.witnesses()
        by_name = {key.name: (key, member) for key, member in keys.items()}
        used = [by_name[item.name] for item in parse_note(note).signatures[1:]]
        native, height = self.chain.native, self.chain.head().height
        block = self.chain.block(height)
        assert block is not None
        slots = consortium_slots(
            self.owner.uscc, self.log_key().public, [(key.public, member.uscc) for key, member in used]
        )
        own = anchors_slots(self.owner.uscc)
        head = Head(chain=self.chain.genesis_digest, height=height, hash=block.hash, time_ms=self.now_ms)
        signed = [sign_head(member.signer(KeyRole.SEQUENCER), head) for member in self.members]
        return AnchorParts(
            note=note,
            anchor=AnchorEvidence(
                header=block.header,
                log_key=self.log_key().public,
                witness_keys=tuple(key.public for key, _ in used),
                consortium=contract_evidence(
                    native.proof(self.contracts.consortium.address, list(slots), height=height), slots
                ),
                anchors=contract_evidence(native.proof(self.contracts.anchors.address, list(own), height=height), own),
            ),
            finality=make_solo(signed[0], signed[1:], 3),
        )

    def policy(self) -> bytes:
        validators = tuple(
            Validator(key=member.signer(KeyRole.SEQUENCER).public, member=member.uscc, sequencer=number == 0)
            for number, member in enumerate(self.members)
        )
        genesis = self.chain.block(0)
        assert genesis is not None
        native = self.chain.native
        return encode_policy(
            TrustPolicy(
                chain=self.chain.genesis_digest,
                consortium=self.contracts.consortium.address,
                consortium_code_hash=native.account(self.contracts.consortium.address)["code_hash"],
                anchors_code_hash=native.account(self.contracts.anchors.address)["code_hash"],
                pinned=Pin(height=0, hash=genesis.hash, checked_at_ms=T0_MS, validators=validators),
                quorum=3,
                trusting_period=86_400,
            )
        )

    def bundle(self, index: int, parts: AnchorParts) -> bytes:
        size = parse_checkpoint(parse_note(parts.note).text).size
        (record,) = self.log.read(index, 1)
        return assemble(record, index, self.log.prove_inclusion(index, size), parts)


@pytest.fixture
def real(tmp_path: Path) -> Iterator[RealCity]:
    members = dev_members()
    store = Store.open(tmp_path / "store")
    chain = EmbeddedChain.open(ChainStore(store), dev_genesis(members, time_ms=T0_MS))
    contracts = Contracts.at(chain.call, contract_addresses())
    info = contracts.consortium.member(members[1].uscc)
    assert info is not None
    log = DepartmentLog.open(
        tmp_path / "log", origin=info.origin, signer=members[1].signer(KeyRole.LOG), clock=lambda: T0_MS
    )
    log.guard(())
    yield RealCity(chain=chain, contracts=contracts, members=members, log=log)
    log.close()
    chain.close()
    store.close()


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
