"""The bundle file: strict in both directions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ledger import codec
from ledger.errors import InvalidInputError, UntrustedError
from ledger.evidence.bundle import (
    MAX_DISCLOSURES,
    Disclosure,
    anchors_slots,
    assemble,
    consortium_slots,
    contract_evidence,
    decode_bundle,
    decode_parts,
    encode_bundle,
    encode_parts,
    exact_note,
)
from ledger.evidence.checkpoint import parse_note
from tests.ledger.evidence.city import USCCS, City


@pytest.fixture(scope="module")
def city() -> City:
    return City()


def code_of(call: Any, *args: Any) -> str:
    with pytest.raises(InvalidInputError) as caught:
        call(*args)
    return caught.value.code


def test_round_trip(city: City) -> None:
    data = city.bundle()
    assert encode_bundle(decode_bundle(data)) == data
    assert codec.encode(json.loads(data)) == data
    parts = city.parts()
    assert decode_parts(encode_parts(parts)) == parts


@pytest.mark.parametrize(
    ("path", "value", "code"),
    [
        ("v", 2, "bundle.format"), ("more", 1, "bundle.format"), ("subject", ..., "bundle.format"),
        ("subject.kind", "receipt", "bundle.subject"), ("subject.record", "x", "bundle.subject"),
        ("subject.record", None, "bundle.subject"), ("disclosures", [], "bundle.disclosures"),
        ("disclosures", [1], "bundle.disclosures"), ("disclosures", {}, "bundle.disclosures"),
        ("inclusion", 1, "bundle.inclusion"), ("anchor.header", "AB==", "bundle.anchor"),
        ("anchor.keys.log", "00", "bundle.anchor"), ("anchor.keys.witnesses", "x", "bundle.anchor"),
        ("anchor.keys.witnesses", ["00" * 32] * 64, "bundle.anchor"), ("anchor.more", 1, "bundle.anchor"),
        ("anchor.anchors.account", ["AA=="] * 66, "bundle.anchor"), ("anchor.anchors.storage", ..., "bundle.anchor"),
        ("anchor.consortium.storage.0.slot", "0x00", "bundle.anchor"),
        ("anchor.consortium.storage.0.proof", [1], "bundle.anchor"), ("finality.engine", "qbft", "bundle.finality"),
        ("finality.time", "now", "bundle.finality"), ("finality.height", -1, "bundle.finality"),
        ("finality.height", True, "bundle.finality"), ("finality.sequencer.signature", "AAAA", "bundle.finality"),
        ("finality.cosignatures", [1], "bundle.finality"), ("finality.chain", "00", "bundle.finality"),
    ],
)  # fmt: skip
def test_bundles_that_are_none_name_the_part(city: City, path: str, value: Any, code: str) -> None:
    whole = json.loads(city.bundle())
    *way, last = path.split(".")
    place = whole
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    assert code_of(decode_bundle, codec.encode(whole)) == code


def test_bounds(city: City) -> None:
    parts = city.parts()
    item = Disclosure(field="f", type="t", salt=bytes(32), value=b"v" * 1_000_000)
    assert code_of(assemble, b"record", 0, (), parts, (item,)) == "bundle.too-large"
    small = Disclosure(field="f", type="t", salt=bytes(32), value=b"v")
    many = assemble(b"record", 0, (), parts, (small,) * (MAX_DISCLOSURES + 1))
    assert code_of(decode_bundle, many) == "bundle.disclosures"
    assert len(decode_bundle(assemble(b"record", 0, (), parts, (small,) * MAX_DISCLOSURES)).disclosures) == 16


def test_stored_parts_that_are_none(city: City) -> None:
    data = encode_parts(city.parts())
    for bad in (b"", b"{}", data + b" ", data.replace(b'"v":1', b'"v":2')):
        assert code_of(decode_parts, bad) == "bundle.parts"


def test_slots_are_distinct_and_in_order(city: City) -> None:
    witnesses = [(b"a" * 32, USCCS[2]), (b"b" * 32, USCCS[3])]
    slots = consortium_slots(USCCS[1], b"l" * 32, witnesses)
    assert len(slots) == len(set(slots)) == 2 + 4 + 2 * 4
    assert consortium_slots(USCCS[1], b"l" * 32, witnesses[:1]) == slots[:10]
    assert len(set(anchors_slots(USCCS[1]))) == 2


def test_evidence_of_an_eip_1186_answer() -> None:
    answer = {"account_proof": [b"n"], "storage": [{"key": b"s" * 32, "value": bytes(32), "proof": [b"p"]}]}
    made = contract_evidence(answer, [b"s" * 32])
    assert (made.account, made.storage[0].slot, made.storage[0].proof) == ((b"n",), b"s" * 32, (b"p",))
    assert code_of(contract_evidence, answer, [b"t" * 32]) == "bundle.slots"
    assert code_of(contract_evidence, answer, []) == "bundle.slots"
    assert code_of(contract_evidence, {"account_proof": None, "storage": []}, []) == "bundle.slots"


def test_the_exact_note_has_the_quorum_of_the_active_members(city: City) -> None:
    keys = [city.witness_vkey(number) for number in (0, 2, 3, 4)]
    for active, quorum in ((5, 3), (4, 2), (3, 2)):
        note = exact_note(city.note(), city.log_vkey, keys, active)
        assert len(parse_note(note).signatures) == 1 + quorum
    with pytest.raises(UntrustedError) as caught:
        exact_note(city.note(), city.log_vkey, keys, 8)
    assert caught.value.code == "checkpoint.quorum"
