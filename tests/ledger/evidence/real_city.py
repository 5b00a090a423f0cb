"""A chain of five members in one process with the log of one of them: our contracts, state machine and log engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ledger.chain.account import sign_transaction
from ledger.chain.bindings import Contracts
from ledger.chain.devnet import CHAIN_ID, DevMember, dev_genesis, dev_members
from ledger.chain.engine import EmbeddedChain
from ledger.chain.genesis import contract_addresses
from ledger.evidence.bundle import (
    AnchorEvidence,
    AnchorParts,
    anchors_slots,
    assemble,
    consortium_slots,
    contract_evidence,
    exact_note,
)
from ledger.evidence.checkpoint import (
    ED25519_COSIGNATURE,
    ED25519_NOTE,
    VKey,
    add_signature,
    cosign,
    parse_checkpoint,
    parse_note,
)
from ledger.evidence.finality import Head, SoloFinality, Validator, make_solo, sign_head
from ledger.evidence.policy import Pin, TrustPolicy, encode_policy
from ledger.log import DepartmentLog
from ledger.model import KeyRole, Record
from ledger.storage.chainstate import ChainStore
from ledger.storage.store import Store

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

    def send(self, data: bytes, *, to: bytes = b"", who: int = 1) -> bool:
        """A transaction in a block of its own, to Anchors by the log's member if nothing else is said; whether it took
        effect."""
        account, to = self.members[who].account, to or self.contracts.anchors.address
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
            finality=self.finality(block.hash),
        )

    def finality(self, block: bytes) -> SoloFinality:
        """The proof that the present head, of that hash, is final."""
        head = Head(chain=self.chain.genesis_digest, height=self.chain.head().height, hash=block, time_ms=self.now_ms)
        signed = [sign_head(member.signer(KeyRole.SEQUENCER), head) for member in self.members]
        return make_solo(signed[0], signed[1:], 3)

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
                licences_code_hash=native.account(self.contracts.licences.address)["code_hash"],
                quorum=3,
                trusting_period=86_400,
            )
        )

    def bundle(self, index: int, parts: AnchorParts) -> bytes:
        size = parse_checkpoint(parse_note(parts.note).text).size
        (record,) = self.log.read(index, 1)
        return assemble(record, index, self.log.prove_inclusion(index, size), parts)


@contextmanager
def real_city(tmp_path: Path) -> Iterator[RealCity]:
    """The city, opened in a folder."""
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
