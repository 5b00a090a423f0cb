"""A city of five members in memory: its contracts' storage in naive tries, its logs, heads and a complete bundle.

Everything a test wants broken is a field or an argument, so that an attack is one line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest
import rlp
from eth_utils import keccak

from ledger import codec
from ledger.errors import UntrustedError
from ledger.evidence import merkle, state
from ledger.evidence.bft import BftFinality
from ledger.evidence.bundle import (
    AnchorEvidence,
    AnchorParts,
    ContractEvidence,
    SlotProof,
    anchors_slots,
    assemble,
    consortium_slots,
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
    sign_note,
)
from ledger.evidence.finality import Head, SoloFinality, Validator, make_solo, sign_head
from ledger.evidence.policy import Pin, TrustPolicy, encode_policy
from ledger.identifiers import ascii_bytes32, member_bytes32, origin, witness_name
from ledger.keys import Ed25519Signer
from ledger.model import KeyRole, Record
from ledger.verify import LINKS, verify_bundle
from tests.ledger.evidence.naive_trie import EMPTY_ROOT, Trie

USCCS = (
    "91350100M000100Y43",
    "11100000000013338W",
    "11430000006122244L",
    "11330105002500287C",
    "11370800MB28559184",
)
HANDLES = ("data-authority", "civil-affairs", "audit", "health", "transport")
REGION = "310000"
NOW = 1_795_318_800
CHAIN = codec.domain_digest("test-chain", b"city")
CONSORTIUM = b"\xc0" * 20
ANCHORS = b"\xa0" * 20
CONSORTIUM_CODE = keccak(b"code of Consortium")
ANCHORS_CODE = keccak(b"code of Anchors")


def signer(role: KeyRole, number: int) -> Ed25519Signer:
    """The key of a role of member ``number``; seeds 100 apart are other keys of the same role."""
    return Ed25519Signer(role, codec.domain_digest("test-seed", bytes([role, number])))


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def packed(*fields: tuple[int, int]) -> bytes:
    """A packed slot: (value, bytes) from the low end up."""
    total, shift = 0, 0
    for value, width in fields:
        total |= value << shift
        shift += 8 * width
    return word(total)


@dataclass(kw_only=True)
class City:
    """A city whose parts may be changed before :meth:`bundle` is called."""

    owner: int = 1
    active: int = 5
    generation: int = 1
    anchored_generation: int = 1
    anchored_at: int = NOW
    cosigned_at: int = NOW - 2
    height: int = 42
    status: dict[int, int] = field(default_factory=dict)
    key_changes: dict[bytes, dict[str, int]] = field(default_factory=dict)
    key_owner: dict[bytes, int] = field(default_factory=dict)
    record: Record = field(
        default_factory=lambda: Record(
            type="member.voted", member=USCCS[1], time_ms=1000 * NOW - 5000, body={"proposal": 7, "yes": True}
        )
    )
    entries: int = 11
    index: int = 6
    log_number: int = 1
    witness_numbers: Sequence[int] = (0, 2, 3, 4)
    cosigners: Sequence[int] = (2, 3, 4)
    sequencer: int = 0
    head_time_ms: int = 1000 * NOW + 300
    anchored: Checkpoint | None = None
    consortium_code: bytes = CONSORTIUM_CODE
    anchors_code: bytes = ANCHORS_CODE
    extra_slots: Mapping[bytes, bytes] = field(default_factory=dict)
    consensus_height: int | None = None
    carried: int | None = None

    @property
    def member(self) -> str:
        return USCCS[self.owner]

    @property
    def log(self) -> Ed25519Signer:
        return signer(KeyRole.LOG, self.log_number)

    @property
    def log_vkey(self) -> VKey:
        return VKey(
            name=origin(REGION, HANDLES[self.owner], self.generation), type=ED25519_NOTE, public=self.log.public
        )

    def witness_vkey(self, number: int) -> VKey:
        name = witness_name(REGION, HANDLES[number % 100])
        return VKey(name=name, type=ED25519_COSIGNATURE, public=signer(KeyRole.WITNESS, number).public)

    def leaves(self) -> list[bytes]:
        others = [codec.encode({"entry": number}) for number in range(self.entries)]
        others[self.index] = codec.encode_record(self.record)
        return [merkle.leaf_hash(entry) for entry in others]

    def checkpoint(self) -> Checkpoint:
        leaves = self.leaves()
        return Checkpoint(origin=self.log_vkey.name, size=len(leaves), root=merkle.root(leaves))

    def note(self) -> bytes:
        """Signed by the log and cosigned by every witness number."""
        text = format_checkpoint(self.checkpoint())
        note = sign_note(text, self.log_vkey.name, self.log)
        for number in self.witness_numbers:
            key = signer(KeyRole.WITNESS, number)
            note = add_signature(note, cosign(text, self.witness_vkey(number).name, key, self.cosigned_at))
        return note

    def consortium_storage(self) -> dict[bytes, bytes]:
        slots = {
            state.contract_slot("Anchors"): ANCHORS.rjust(32, b"\0"),
            state.active_count_slot(): word(self.active),
        }
        for number, uscc in enumerate(USCCS):
            where = state.member_slots(uscc)
            slots[where.packed] = packed(
                (self.status.get(number, 1), 1),
                (1 if number == 0 else 0, 4),
                (int(REGION), 4),
                (self.generation, 2),
                (NOW - 900_000, 8),
                (1, 1),
            )
            slots[where.handle] = ascii_bytes32(HANDLES[number])
            slots[where.account] = bytes([number + 1] * 20).rjust(32, b"\0")
            for role in (KeyRole.LOG, KeyRole.WITNESS, KeyRole.SEQUENCER, KeyRole.RECEIPT):
                for key in (signer(role, number), signer(role, number + 100)):
                    slots |= self.key_storage(key, number)
        return slots | self.extra_slots

    def key_storage(self, key: Ed25519Signer, number: int) -> dict[bytes, bytes]:
        where = state.key_slots(key.public)
        values = {"role": key.role, "status": 1, "from": NOW - 900_000, "to": 0, "ended": 0}
        values |= self.key_changes.get(key.public, {})
        flags = packed(
            (values["role"], 1), (values["status"], 1), (values["from"], 8), (values["to"], 8), (values["ended"], 8)
        )
        return {where.member: member_bytes32(USCCS[self.key_owner.get(key.public, number)]), where.packed: flags}

    def anchors_storage(self) -> dict[bytes, bytes]:
        head = self.anchored or self.checkpoint()
        where = state.anchor_slots(self.member)
        sizes = packed((head.size, 8), (self.anchored_at, 8), (self.anchored_generation, 2))
        return {where.root: head.root, where.packed: sizes}

    def world(self) -> tuple[Trie, Trie, Trie]:
        """Tries of the accounts, of Consortium and of Anchors."""
        consortium = Trie({slot: rlp.encode(value.lstrip(b"\0")) for slot, value in self.consortium_storage().items()})
        anchors = Trie({slot: rlp.encode(value.lstrip(b"\0")) for slot, value in self.anchors_storage().items()})
        accounts = {bytes([number + 1] * 20): rlp.encode([5, 0, EMPTY_ROOT, keccak(b"")]) for number in range(20)}
        accounts[CONSORTIUM] = rlp.encode([1, 0, consortium.root, self.consortium_code])
        accounts[ANCHORS] = rlp.encode([1, 0, anchors.root, self.anchors_code])
        return Trie(accounts), consortium, anchors

    def header(self, state_root: bytes) -> bytes:
        """A header of 16 fields (docs/formats.md, genesis and blocks)."""
        empty_list = keccak(rlp.encode([]))
        parent = keccak(b"parent")
        number, limit = self.height, 1_000_000_000
        seconds = self.head_time_ms // 1000
        consensus = (number if self.consensus_height is None else self.consensus_height).to_bytes(8, "big")
        fields: list[object] = [parent, empty_list, bytes(20), state_root, EMPTY_ROOT, EMPTY_ROOT, bytes(256), 0]
        fields += [number, limit, 0, seconds, consensus, keccak(parent), bytes(8), 0]
        return rlp.encode(fields)

    def parts(self) -> AnchorParts:
        accounts, consortium, anchors = self.world()
        vkeys = {self.witness_vkey(number): number for number in self.witness_numbers}
        # ``carried``: how many active members the maker pretends there are when it counts cosignatures.
        note = exact_note(self.note(), self.log_vkey, list(vkeys), self.carried or self.active)
        names = [line.split(" ")[1] for line in note.decode().split("\n\n")[1].splitlines()][1:]
        chosen = sorted((number for key, number in vkeys.items() if key.name in names), key=self._witness_name)
        used = [(signer(KeyRole.WITNESS, number).public, self._owner_of_witness(number)) for number in chosen]
        header = self.header(accounts.root)
        slots = consortium_slots(self.member, self.log.public, used)
        evidence = AnchorEvidence(
            header=header,
            log_key=self.log.public,
            witness_keys=tuple(key for key, _ in used),
            consortium=_evidence(accounts, CONSORTIUM, consortium, slots),
            anchors=_evidence(accounts, ANCHORS, anchors, anchors_slots(self.member)),
        )
        return AnchorParts(note=note, anchor=evidence, finality=self.finality(header))

    def finality(self, header: bytes) -> SoloFinality | BftFinality:
        return self.finality_of(Head(chain=CHAIN, height=self.height, hash=keccak(header), time_ms=self.head_time_ms))

    def finality_of(self, head: Head) -> SoloFinality:
        signed = sign_head(signer(KeyRole.SEQUENCER, self.sequencer), head)
        others = [sign_head(signer(KeyRole.SEQUENCER, number), head) for number in self.cosigners]
        return make_solo(signed, others, len(others))

    def bundle(self, parts: AnchorParts | None = None, **changes: object) -> bytes:
        """The bundle; ``changes`` replace fields of the anchor parts."""
        made = replace(parts or self.parts(), **changes)  # type: ignore[arg-type]
        hashes = merkle.inclusion_proof(self.leaves(), self.index, self.entries)
        return assemble(codec.encode_record(self.record), self.index, hashes, made)

    def trust(self, **changes: object) -> TrustPolicy:
        validators = tuple(
            Validator(key=signer(KeyRole.SEQUENCER, number).public, member=uscc, sequencer=number == 0)
            for number, uscc in enumerate(USCCS)
        )
        policy = TrustPolicy(
            chain=CHAIN,
            consortium=CONSORTIUM,
            consortium_code_hash=CONSORTIUM_CODE,
            anchors_code_hash=ANCHORS_CODE,
            pinned=Pin(height=40, hash=keccak(b"pinned"), checked_at_ms=1000 * NOW - 60_000, validators=validators),
            quorum=3,
            trusting_period=86_400,
        )
        return replace(policy, **changes)  # type: ignore[arg-type]

    def policy(self, **changes: object) -> bytes:
        return encode_policy(self.trust(**changes))

    def _owner_of_witness(self, number: int) -> str:
        return USCCS[self.key_owner.get(signer(KeyRole.WITNESS, number).public, number % 100)]

    def _witness_name(self, number: int) -> str:
        return self.witness_vkey(number).name


def _evidence(accounts: Trie, address: bytes, storage: Trie, slots: Sequence[bytes]) -> ContractEvidence:
    return ContractEvidence(
        account=tuple(accounts.proof(address)),
        storage=tuple(SlotProof(slot=slot, proof=tuple(storage.proof(slot))) for slot in slots),
    )


def refused(bundle: bytes, policy: bytes, at_ms: int | None = None) -> str:
    """The code with which the verifier refuses; it names a link of the evidence."""
    with pytest.raises(UntrustedError) as caught:
        verify_bundle(bundle, policy, at_ms)
    assert caught.value.code.partition(".")[0] in LINKS
    assert caught.value.hint, "every refusal names a next step"
    return caught.value.code
