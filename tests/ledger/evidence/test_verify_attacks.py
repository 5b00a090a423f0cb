"""Attacks on the chain of evidence: each is refused by the link it breaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import rlp
from eth_utils import keccak

from ledger import codec
from ledger.evidence import merkle
from ledger.evidence.bundle import SlotProof, assemble, decode_bundle, encode_bundle
from ledger.evidence.checkpoint import Checkpoint
from ledger.evidence.finality import HeadSignature, sign_head
from ledger.model import KeyRole, Record
from tests.ledger.evidence.city import NOW, USCCS, City, refused, signer

WITNESS_2 = signer(KeyRole.WITNESS, 2).public
LOG_1 = signer(KeyRole.LOG, 1).public


ATTACKS: dict[str, tuple[Callable[[], City], str]] = {
    "a quorum of fewer cosignatures": (lambda: City(carried=3), "checkpoint.quorum"),
    "more cosignatures than the quorum": (lambda: City(carried=5, active=4), "checkpoint.signatures"),
    "the log's own member as its witness": (lambda: City(witness_numbers=(1, 2, 3)), "state.witness-key"),
    "two witness keys of one member": (lambda: City(witness_numbers=(2, 102, 3)), "state.witness-key"),
    "a witness of a suspended member": (lambda: City(status={2: 2}, witness_numbers=(2, 3, 4)), "state.witness-member"),
    "a witness of a removed member": (lambda: City(status={4: 3}, witness_numbers=(2, 3, 4)), "state.witness-member"),
    "a key of another role as witness": (
        lambda: City(witness_numbers=(2, 3, 4), key_changes={WITNESS_2: {"role": 6}}), "state.witness-key",
    ),
    "a witness key not valid yet": (
        lambda: City(witness_numbers=(2, 3, 4), key_changes={WITNESS_2: {"from": NOW + 300}}), "state.witness-key",
    ),
    "a witness key past its end": (
        lambda: City(witness_numbers=(2, 3, 4), key_changes={WITNESS_2: {"to": NOW - 10}}), "state.witness-key",
    ),
    "a witness key retired before": (
        lambda: City(witness_numbers=(2, 3, 4), key_changes={WITNESS_2: {"status": 2, "ended": NOW - 10}}),
        "state.witness-key",
    ),
    "a compromised witness key that claims an earlier time": (
        lambda: City(
            witness_numbers=(2, 3, 4), cosigned_at=NOW - 600, key_changes={WITNESS_2: {"status": 3, "ended": NOW - 60}}
        ),
        "state.witness-key",
    ),
    "a log key of another member": (lambda: City(log_number=2), "state.log-key"),
    "a log key retired before the anchor": (
        lambda: City(key_changes={LOG_1: {"status": 2, "ended": NOW}}), "state.log-key",
    ),
    "a log key compromised before the anchor": (
        lambda: City(key_changes={LOG_1: {"status": 3, "ended": NOW - 5}}), "state.log-key",
    ),
    "a log key not valid yet": (lambda: City(key_changes={LOG_1: {"from": NOW + 1}}), "state.log-key"),
    "a log key of another role": (lambda: City(key_changes={LOG_1: {"role": 7}}), "state.log-key"),
    "a key status that does not exist": (lambda: City(key_changes={LOG_1: {"status": 9}}), "state.key"),
    "a member that never was": (lambda: City(status={1: 0}), "state.member"),
    "another root anchored": (
        lambda: City(anchored=Checkpoint(origin="x", size=11, root=b"r" * 32)), "anchor.root",
    ),
    "another size anchored": (
        lambda: City(anchored=Checkpoint(origin="x", size=12, root=b"r" * 32)), "anchor.size",
    ),
    "an anchor from after its block": (lambda: City(anchored_at=NOW + 1), "anchor.time"),
    "an anchor of an earlier generation": (lambda: City(generation=2), "anchor.generation"),
    "a record that speaks for another member": (
        lambda: City(
            record=Record(type="member.voted", member=USCCS[2], time_ms=1000 * NOW, body={"proposal": 7, "yes": True})
        ),
        "state.slots",
    ),
    "another Consortium code": (lambda: City(consortium_code=keccak(b"evil")), "state.code"),
    "another Anchors code": (lambda: City(anchors_code=keccak(b"evil")), "state.code"),
    "a head ordered by another member": (lambda: City(sequencer=3, cosigners=(0, 2, 4)), "finality.sequencer"),
    "a head cosigned by a stranger": (lambda: City(cosigners=(2, 3, 104)), "finality.cosigner"),
    "a head with fewer cosignatures": (lambda: City(cosigners=(2, 3)), "finality.quorum"),
    "a head with more cosignatures": (lambda: City(cosigners=(1, 2, 3, 4)), "finality.quorum"),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_named(name: str) -> None:
    make, code = ATTACKS[name]
    city = make()
    assert refused(city.bundle(), city.policy(quorum=1)) == code


def test_storage_slots_are_the_ones_asked_for_in_order_and_no_more() -> None:
    city = City()
    parts, policy = city.parts(), city.policy()

    def with_storage(storage: tuple[SlotProof, ...]) -> bytes:
        consortium = replace(parts.anchor.consortium, storage=storage)
        return city.bundle(parts, anchor=replace(parts.anchor, consortium=consortium))

    slots = parts.anchor.consortium.storage
    assert refused(with_storage((*slots, slots[0])), policy) == "state.slots"
    assert refused(with_storage(slots[:-1]), policy) == "state.slots"
    assert refused(with_storage((slots[1], slots[0], *slots[2:])), policy) == "state.slots"
    assert refused(with_storage(()), policy) == "state.slots"
    padded = replace(slots[0], proof=(*slots[0].proof, slots[1].proof[-1]))
    assert refused(with_storage((padded, *slots[1:])), policy) == "state.storage"
    cut = replace(slots[0], proof=slots[0].proof[:-1])
    assert refused(with_storage((cut, *slots[1:])), policy) == "state.storage"
    foreign = replace(slots[0], proof=slots[1].proof)
    assert refused(with_storage((foreign, *slots[1:])), policy) == "state.storage"


def test_account_proofs_carry_no_unused_node() -> None:
    city = City()
    parts, policy = city.parts(), city.policy()
    for account in (
        (*parts.anchor.anchors.account, parts.anchor.header),
        parts.anchor.anchors.account[:-1],
        parts.anchor.consortium.account,
        (),
    ):
        anchors = replace(parts.anchor.anchors, account=account)
        assert refused(city.bundle(parts, anchor=replace(parts.anchor, anchors=anchors)), policy) == "state.account"


def test_header_and_finality_belong_together() -> None:
    city = City()
    parts, policy = city.parts(), city.policy()
    other = City(height=43, head_time_ms=city.head_time_ms + 1000).parts()
    assert refused(city.bundle(parts, finality=other.finality), policy) == "finality.header"
    assert refused(city.bundle(parts, anchor=other.anchor), policy) == "finality.header"
    for header in (b"", b"\xc0", parts.anchor.header + b"\0", parts.anchor.header[:-1]):
        assert refused(city.bundle(parts, anchor=replace(parts.anchor, header=header)), policy) == "anchor.header"
    fields = rlp.decode(parts.anchor.header)
    assert isinstance(fields, list)
    for changed in (fields[:15], [*fields, b""]):
        anchor = replace(parts.anchor, header=rlp.encode(changed))
        assert refused(city.bundle(parts, anchor=anchor), policy) == "anchor.header"
    fields[12] = (41).to_bytes(8, "big")
    skewed = replace(parts.anchor, header=rlp.encode(fields))
    head = replace(parts.finality.head, hash=keccak(skewed.header))
    assert refused(city.bundle(parts, anchor=skewed, finality=city.finality_of(head)), policy) == "anchor.header"


def test_finality_signatures_are_all_judged() -> None:
    city = City()
    parts, policy = city.parts(), city.policy()
    finality = parts.finality
    spoiled = HeadSignature(key=finality.cosignatures[0].key, signature=bytes(64))
    doubled = (finality.cosignatures[0], *finality.cosignatures[:2])
    own = sign_head(signer(KeyRole.SEQUENCER, 0), finality.head).head_signature
    cases = {
        "finality.signature": (spoiled, *finality.cosignatures[1:]),
        "finality.order": doubled,
        "finality.members": tuple(sorted((own, *finality.cosignatures[1:]), key=lambda item: item.key)),
    }
    for code, cosignatures in cases.items():
        assert refused(city.bundle(parts, finality=replace(finality, cosignatures=cosignatures)), policy) == code
    backwards = replace(finality, cosignatures=finality.cosignatures[::-1])
    assert refused(city.bundle(parts, finality=backwards), policy) == "finality.order"
    other_head = replace(finality, head=replace(finality.head, height=43))
    assert refused(city.bundle(parts, finality=other_head), policy) == "finality.height"


def test_inclusion_is_of_this_record_and_carries_no_extra() -> None:
    city = City()
    bundle, policy = decode_bundle(city.bundle()), city.policy()
    extra = bundle.inclusion.replace("\nindex", "\nextra QUJD\nindex", 1)
    cases = {
        "inclusion.extra": replace(bundle, inclusion=extra),
        "inclusion.proof": replace(bundle, inclusion=bundle.inclusion.replace("index 6", "index 7")),
        "inclusion.format": replace(bundle, inclusion=bundle.inclusion.replace("index 6", "index 06")),
    }
    for code, changed in cases.items():
        assert refused(encode_bundle(changed), policy) == code
    other = codec.encode_record(replace(city.record, time_ms=city.record.time_ms + 1))
    assert refused(encode_bundle(replace(bundle, record=other)), policy) == "inclusion.proof"


def test_parts_of_two_logs_do_not_mix() -> None:
    """A fork that its own signers made does not stand under the anchored head."""
    city, fork = City(), City(entries=12)
    mixed = replace(city.parts(), note=fork.parts().note)
    hashes = merkle.inclusion_proof(fork.leaves(), fork.index, fork.entries)
    bundle = assemble(codec.encode_record(fork.record), fork.index, hashes, mixed)
    assert refused(bundle, city.policy()) == "anchor.size"
