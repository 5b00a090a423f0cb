"""The frozen storage: what the state machine and offline verifiers read, word for word."""

from __future__ import annotations

import json
from pathlib import Path

from contract_city import ADDRESSES, LOG, SUPERVISOR, ZERO, City, digest, licence_code, word
from contract_targets import Target
from eth_utils import keccak

LAYOUT = json.loads((Path(__file__).resolve().parents[2] / "contracts" / "storageLayout.json").read_text("utf-8"))
SUSPEND, ADOPT, ACTIVATE = 2, 8, 10

FROZEN = {
    "Consortium": [
        ("_memberOf", 0, "mapping(address => MemberId)"),
        ("_members", 1, "mapping(MemberId => struct IConsortium.Member)"),
        ("_activeCount", 2, "uint256"),
        ("_keys", 3, "mapping(bytes32 => struct IConsortium.Key)"),
        ("_adopted", 4, "mapping(bytes32 => bool)"),
        ("_contracts", 5, "mapping(bytes32 => address)"),
        ("_activeVersion", 6, "struct IConsortium.Version"),
        # The state machine reads who validates from these, slot 1 and slot 3.
        ("_memberIds", 7, "MemberId[]"),
        ("_keysOf", 8, "mapping(MemberId => bytes32[])"),
        ("_activeKeys", 9, "mapping(MemberId => bytes32[])"),
        ("_origins", 10, "mapping(bytes32 => MemberId)"),
        ("_predecessors", 11, "mapping(address => address)"),
        ("_wasInForce", 12, "mapping(address => bool)"),
        # A recovery sets these two, and slot 1.
        ("_inSet", 13, "mapping(bytes32 => bool)"),
        ("_setSize", 14, "uint256"),
    ],
    "Anchors": [("_anchors", 0, "mapping(MemberId => struct IAnchors.Anchor)")],
    "Licences": [
        ("_types", 0, "mapping(LicenceTypeId => struct ILicences.LicenceType)"),
        ("_accreditations", 1, "mapping(LicenceTypeId => mapping(MemberId => struct ILicences.Accreditation[]))"),
        ("_lists", 2, "mapping(MemberId => mapping(uint32 => struct Licences.StatusList))"),
    ],
    "Recognition": [
        ("_items", 0, "mapping(ItemId => struct IRecognition.Item)"),
        ("_ranges", 1, "mapping(RangeId => struct IRecognition.LabelRange)"),
        ("_eqas", 2, "mapping(EqaId => struct IRecognition.Eqa)"),
        ("_itemIds", 3, "ItemId[]"),
        ("_rangeIds", 4, "RangeId[]"),
        ("_eqaIds", 5, "EqaId[]"),
        ("_eqasOf", 6, "mapping(MemberId => EqaId[])"),
        ("_rounds", 7, "mapping(bytes32 => EqaId)"),
        ("_rules", 8, "mapping(uint32 => struct IRecognition.RuleVersion[])"),
        ("_regions", 9, "uint32[]"),
        ("_institutions", 10, "mapping(MemberId => struct IRecognition.Institution)"),
        ("_institutionIds", 11, "MemberId[]"),
        ("_agreements", 12, "struct IRecognition.Agreement[]"),
        ("_agreed", 13, "mapping(uint256 => ItemId[])"),
    ],
}
#: struct -> (field, slot, offset, bytes)
FROZEN_STRUCTS = {
    ("Consortium", "struct IConsortium.Member"): [
        ("status", 0, 0, 1), ("roles", 0, 1, 4), ("region", 0, 5, 4), ("logGeneration", 0, 9, 2), ("since", 0, 11, 8),
        ("validator", 0, 19, 1), ("handle", 1, 0, 32), ("account", 2, 0, 20),
    ],
    ("Consortium", "struct IConsortium.Key"): [
        ("member", 0, 0, 32), ("role", 1, 0, 1), ("status", 1, 1, 1), ("validFrom", 1, 2, 8), ("validTo", 1, 10, 8),
        ("endedAt", 1, 18, 8),
    ],
    ("Consortium", "struct IConsortium.Version"): [("version", 0, 0, 4), ("height", 0, 4, 8)],
    ("Anchors", "struct IAnchors.Anchor"): [
        ("root", 0, 0, 32), ("indexRoot", 1, 0, 32), ("size", 2, 0, 8), ("time", 2, 8, 8), ("generation", 2, 16, 2),
    ],
    ("Licences", "struct ILicences.LicenceType"): [
        ("definedAt", 0, 0, 8), ("withdrawnAt", 0, 8, 8), ("changedAt", 0, 16, 8), ("metadataDigest", 1, 0, 32),
        ("by", 2, 0, 32),
    ],
    ("Licences", "struct ILicences.Accreditation"): [
        ("validFrom", 0, 0, 8), ("validUntil", 0, 8, 8), ("madeAt", 0, 16, 8), ("endedAt", 0, 24, 8), ("by", 1, 0, 32),
        ("endedBy", 2, 0, 32), ("basisDigest", 3, 0, 32),
    ],
    ("Licences", "struct ILicences.ListVersion"): [
        ("listDigest", 0, 0, 32), ("tokenDigest", 1, 0, 32), ("time", 2, 0, 8), ("inflatedBytes", 2, 8, 4),
        ("bits", 2, 12, 1),
    ],
    ("Licences", "struct Licences.StatusList"): [("uriDigest", 0, 0, 32), ("versions", 1, 0, 32)],
    ("Recognition", "struct IRecognition.Agreement"): [
        ("range", 0, 0, 32), ("region", 1, 0, 4), ("other", 1, 4, 4), ("proposedAt", 1, 8, 8),
        ("acceptedAt", 1, 16, 8), ("endedAt", 1, 24, 8), ("items", 2, 0, 2), ("proposedBy", 3, 0, 32),
        ("acceptedBy", 4, 0, 32), ("endedBy", 5, 0, 32),
    ],
    ("Recognition", "struct IRecognition.Eqa"): [
        ("range", 0, 0, 32), ("item", 1, 0, 32), ("institution", 2, 0, 32), ("scheme", 3, 0, 32),
        ("certificateDigest", 4, 0, 32), ("round", 5, 0, 4), ("passed", 5, 4, 1), ("validFrom", 5, 5, 8),
        ("validUntil", 5, 13, 8), ("recordedAt", 5, 21, 8), ("revokedSince", 6, 0, 8), ("revokedAt", 6, 8, 8),
        ("by", 7, 0, 32), ("revokedBy", 8, 0, 32),
    ],
    ("Recognition", "struct IRecognition.Institution"): [
        ("region", 0, 0, 4), ("level", 0, 4, 1), ("changedAt", 0, 5, 8), ("by", 1, 0, 32),
    ],
    ("Recognition", "struct IRecognition.Item"): [
        ("addedAt", 0, 0, 8), ("by", 1, 0, 32),
    ],
    ("Recognition", "struct IRecognition.LabelRange"): [
        ("region", 0, 0, 4), ("validFrom", 0, 4, 8), ("validUntil", 0, 12, 8), ("openedAt", 0, 20, 8),
        ("label", 1, 0, 32), ("quality", 2, 0, 32), ("by", 3, 0, 32),
    ],
    ("Recognition", "struct IRecognition.RuleVersion"): [
        ("inForceFrom", 0, 0, 8), ("adoptedAt", 0, 8, 8), ("withdrawnAt", 0, 16, 8), ("digest", 1, 0, 32),
        ("by", 2, 0, 32),
    ],
}  # fmt: skip


def mapping(key: bytes, slot: int, offset: int = 0) -> int:
    """Slot of a mapping's value."""
    return int.from_bytes(keccak(key + slot.to_bytes(32, "big")), "big") + offset


def field(value: bytes, offset: int, size: int) -> int:
    """A packed field, counted from the low end."""
    return (int.from_bytes(value, "big") >> (8 * offset)) & (2 ** (8 * size) - 1)


def test_the_committed_layout_begins_with_the_frozen_slots() -> None:
    for contract, frozen in FROZEN.items():
        begun = LAYOUT[contract]["storage"][: len(frozen)]
        assert [(entry["label"], entry["slot"], entry["type"]) for entry in begun] == frozen
        assert all(entry["offset"] == 0 for entry in begun)


def test_the_frozen_structs_are_packed_as_agreed() -> None:
    for (contract, struct), frozen in FROZEN_STRUCTS.items():
        members = LAYOUT[contract]["structs"][struct]
        assert [(m["label"], m["slot"], m["offset"], m["bytes"]) for m in members] == frozen


def test_a_members_words(city: City) -> None:
    party = city.bigdata
    account = bytes.fromhex(party.account.address[2:]).rjust(32, b"\0")
    assert city.slot("Consortium", mapping(account, 0)) == party.id
    first = city.slot("Consortium", mapping(party.id, 1))
    since = city.read("Consortium.member", party.id).since
    assert [field(first, *place) for place in ((0, 1), (1, 4), (5, 4), (9, 2), (11, 8), (19, 1))] == [
        1, SUPERVISOR, 310000, 1, since, 1,
    ]  # fmt: skip
    assert first[:12] == bytes(12)
    assert city.slot("Consortium", mapping(party.id, 1, 1)) == word("bigdata")
    assert city.slot("Consortium", mapping(party.id, 1, 2)) == account
    assert city.slot("Consortium", 2) == (5).to_bytes(32, "big")


def test_the_word_the_state_machine_judges_by(city: City) -> None:
    """Sender rule: _memberOf[sender] is not zero and the low byte of _members[m] is 1."""
    account = bytes.fromhex(city.water.account.address[2:]).rjust(32, b"\0")
    city.decide(SUSPEND, ["bytes32"], city.water.id, without=(city.water,))
    assert city.slot("Consortium", mapping(account, 0)) == city.water.id
    assert field(city.slot("Consortium", mapping(city.water.id, 1)), 0, 1) == 2
    city.decide(4, ["bytes32"], city.water.id, without=(city.water,))
    assert city.slot("Consortium", mapping(account, 0)) == ZERO
    assert field(city.slot("Consortium", mapping(city.water.id, 1)), 0, 1) == 3
    assert city.slot("Consortium", 2) == (4).to_bytes(32, "big")


def test_a_keys_words(city: City) -> None:
    material = city.water.material(LOG)
    assert city.slot("Consortium", mapping(material, 3)) == city.water.id
    founded = city.read("Consortium.key", material).validFrom
    places = ((0, 1), (1, 1), (2, 8), (10, 8), (18, 8))
    second = city.slot("Consortium", mapping(material, 3, 1))
    assert [field(second, *place) for place in places] == [LOG, 1, founded, 0, 0]
    city.send(city.water, "Consortium.endKey", material, True, founded)
    second = city.slot("Consortium", mapping(material, 3, 1))
    assert [field(second, *place) for place in places] == [LOG, 3, founded, 0, founded]


def test_code_contracts_and_version(city: City, target: Target) -> None:
    assert city.slot("Consortium", mapping(digest("code"), 4)) == ZERO
    city.decide(ADOPT, ["bytes32", "bool"], digest("code"), True)
    assert city.slot("Consortium", mapping(digest("code"), 4)) == (1).to_bytes(32, "big")
    for name in ("Directory", "Grants", "Anchors", "Licences", "Recognition"):
        address = bytes.fromhex(ADDRESSES[name][2:]).rjust(32, b"\0")
        assert city.slot("Consortium", mapping(word(name), 5)) == address
    assert city.slot("Consortium", 6) == (1).to_bytes(32, "big")
    height = target.height + 1000
    city.decide(ACTIVATE, ["uint32", "uint64"], 7, height)
    assert city.slot("Consortium", 6) == (height << 32 | 7).to_bytes(32, "big")


def test_an_anchors_words(city: City) -> None:
    root, index = digest("root"), digest("index")
    city.send(city.water, "Anchors.record", city.water.id, 7, root, index, [])
    assert city.slot("Anchors", mapping(city.water.id, 0)) == root
    assert city.slot("Anchors", mapping(city.water.id, 0, 1)) == index
    third = city.slot("Anchors", mapping(city.water.id, 0, 2))
    assert [field(third, *place) for place in ((0, 8), (8, 8), (16, 2))] == [7, city.now, 1]


def nested(outer: bytes, inner: bytes, slot: int) -> int:
    """Slot of the value of a mapping in a mapping."""
    return mapping(inner, mapping(outer, slot))


def items(slot: int) -> int:
    """Slot of the first item of a dynamic array."""
    return int.from_bytes(keccak(slot.to_bytes(32, "big")), "big")


def test_a_licence_types_and_an_accreditations_words(city: City) -> None:
    code = licence_code(city.water)
    city.send(city.water, "Licences.defineType", code, digest("description"))
    defined = city.now
    city.send(city.water, "Licences.accredit", code, city.civil.id, 0, 0, digest("basis"))
    begun = city.now
    place = nested(code, city.civil.id, 1)
    assert city.slot("Licences", place) == (1).to_bytes(32, "big")
    first = items(place)
    times = ((0, 8), (8, 8), (16, 8), (24, 8))
    assert [field(city.slot("Licences", first), *at) for at in times] == [begun, 0, begun, 0]
    city.send(city.bigdata, "Licences.endAccreditation", code, city.civil.id, 1, 0, digest("reason"))
    assert [field(city.slot("Licences", first), *at) for at in times] == [begun, city.now, begun, city.now]
    rest = [city.slot("Licences", first + at) for at in (1, 2, 3)]
    assert rest == [city.water.id, city.bigdata.id, digest("basis")]
    city.send(city.water, "Licences.accredit", code, city.civil.id, city.now + 100, city.now + 200, digest("basis 2"))
    assert city.slot("Licences", place) == (2).to_bytes(32, "big")
    assert city.slot("Licences", first + 4 + 3) == digest("basis 2")
    city.send(city.water, "Licences.withdrawType", code, digest("reason"))
    first = city.slot("Licences", mapping(code, 0))
    assert [field(first, *at) for at in times] == [defined, city.now, city.now, 0]
    assert city.slot("Licences", mapping(code, 0, 1)) == digest("description")
    assert city.slot("Licences", mapping(code, 0, 2)) == city.water.id


def test_a_status_lists_words(city: City) -> None:
    code = licence_code(city.water)
    city.send(city.water, "Licences.defineType", code, digest("description"))
    city.send(city.water, "Licences.accredit", code, city.water.id, 0, 0, digest("basis"))
    for version in (1, 2):
        digests = digest("uri"), digest("list", version), digest("token", version)
        city.send(city.water, "Licences.recordList", code, 1, version, *digests, 1000 * version, 2)
    place = nested(city.water.id, (1).to_bytes(32, "big"), 2)
    assert city.slot("Licences", place) == digest("uri")
    assert city.slot("Licences", place + 1) == (2).to_bytes(32, "big")
    newest = items(place + 1) + 3
    assert city.slot("Licences", newest) == digest("list", 2)
    assert city.slot("Licences", newest + 1) == digest("token", 2)
    third = city.slot("Licences", newest + 2)
    assert [field(third, *at) for at in ((0, 8), (8, 4), (12, 1))] == [city.now, 2000, 2]


def test_a_rule_versions_and_a_quality_records_words(city: City) -> None:
    item, code, scheme = word("lab.glucose"), word("310000"), word("NCCL-chem")
    city.send(city.health, "Recognition.adoptRules", 1, digest("rules", 1), 0)
    adopted = city.now
    place = mapping((310000).to_bytes(32, "big"), 8)
    assert city.slot("Recognition", place) == (1).to_bytes(32, "big")
    first = city.slot("Recognition", items(place))
    assert [field(first, *at) for at in ((0, 8), (8, 8), (16, 8))] == [adopted, adopted, 0]
    assert city.slot("Recognition", items(place) + 1) == digest("rules", 1)
    assert city.slot("Recognition", items(place) + 2) == city.health.id
    city.send(city.health, "Recognition.openRange", code, "沪HR".encode().ljust(32, b"\0"), city.civil.id, 0)
    city.send(city.health, "Recognition.addItems", [item])
    begin, end = city.now - 100, city.now + 100
    entry = (code, item, city.water.id, scheme, digest("certificate"), 7, True, begin, end)
    made = city.send(city.civil, "Recognition.recordEqas", [entry]).only("EqaRecorded")["id"]
    recorded = city.now
    words = [city.slot("Recognition", mapping(made, 2, at)) for at in range(9)]
    assert words[:5] == [code, item, city.water.id, scheme, digest("certificate")]
    places = ((0, 4), (4, 1), (5, 8), (13, 8), (21, 8))
    assert [field(words[5], *at) for at in places] == [7, 1, begin, end, recorded]
    assert (words[6], words[7]) == (ZERO, city.civil.id)
    city.send(city.health, "Recognition.setInstitution", city.water.id, 2)
    kept = city.slot("Recognition", mapping(city.water.id, 10))
    assert [field(kept, *at) for at in ((0, 4), (4, 1), (5, 8))] == [310000, 2, city.now]
