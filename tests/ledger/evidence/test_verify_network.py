"""Bundles of a city on a network that somebody else runs: sealed ones are final, others never are."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_utils import keccak

from ledger import codec
from ledger.errors import InvalidInputError, UntrustedError
from ledger.evidence.bundle import decode_bundle, decode_parts, encode_parts
from ledger.evidence.network import UnprovenFinality, decode_foreign, hashed_header
from ledger.evidence.policy import decode_policy, encode_policy
from ledger.evidence.qbft import encode_header
from ledger.evidence.qbftfinality import QbftFinality
from ledger.verify import verify_bundle
from tests.ledger.evidence.city import NOW, City, refused
from tests.ledger.evidence.network_city import NetworkCity
from tests.ledger.evidence.qbft_net import addresses, header, sealed


def unproven() -> NetworkCity:
    return NetworkCity(sealing=())


def test_a_sealed_block_is_final() -> None:
    city = NetworkCity()
    verdict = verify_bundle(city.bundle(), city.policy()).to_dict()
    assert (verdict["verdict"], verdict["reached"], verdict["finality"]) == ("verified", "final", "bft")
    assert all(check["ok"] for check in verdict["checks"])
    assert "sealed by 3 of 4 validators" in verdict["checks"][5]["detail"]
    small = NetworkCity(sealing=(4, 5))
    assert verify_bundle(small.bundle(), small.policy()).finality == "single-signer"


def test_a_block_nobody_proves_is_never_final() -> None:
    city = unproven()
    verdict = verify_bundle(city.bundle(), city.policy())
    told = verdict.to_dict()
    assert (told["verdict"], told["reached"], told["finality"]) == ("unproven", "anchored", "unproven")
    assert told["code"] == "finality.unproven"
    assert "final" not in {told["verdict"], told["reached"]}
    assert [check["name"] for check in told["checks"] if not check["ok"]] == ["finality"]
    late = verify_bundle(city.bundle(), city.policy(), 1000 * NOW + 200 * 86_400_000)
    assert (late.verdict, late.reached, late.code) == ("expired", "anchored", "policy.expired")


def test_what_a_policy_asks_for_is_not_replaced_by_less() -> None:
    sealed_city, bare = NetworkCity(), unproven()
    assert refused(bare.bundle(), sealed_city.policy()) == "finality.unproven"
    assert refused(sealed_city.bundle(), bare.policy()) == "finality.engine"
    assert refused(bare.bundle(), City().policy()) == "finality.engine"
    assert refused(City().bundle(), bare.policy()) == "finality.engine"
    assert refused(City().bundle(), sealed_city.policy()) == "finality.engine"


def test_without_proof_every_key_is_pinned() -> None:
    city = unproven()
    pins = city.trust().pins
    for key in (city.log_vkey, city.witness_vkey(0)):
        others = tuple(item for item in pins if item.name != key.name)
        assert refused(city.bundle(), city.policy(pins=others)) == "policy.pin"
    # A forged block can bear out any key: the pins are what is left.
    forged = replace(city, log_number=101)
    assert refused(forged.bundle(), city.policy()) == "policy.pin"
    with pytest.raises(InvalidInputError) as none:
        encode_policy(city.trust(pins=()))
    assert none.value.code == "policy.format"


def test_seals_are_judged_by_the_policy() -> None:
    city = NetworkCity()
    parts = city.parts()
    full = city.made[-1]
    finality = parts.finality
    assert isinstance(finality, QbftFinality)
    too_few = replace(finality, header=sealed(full, (0, 1)))
    assert refused(city.bundle(parts, finality=too_few), city.policy()) == "finality.invalid"
    strangers = replace(city.pin, validators=addresses((5, 6, 7, 8)))
    assert refused(city.bundle(parts), city.policy(pinned=strangers)) == "finality.invalid"
    other = replace(finality, header=sealed(header((0, 1, 2, 3), height=city.height), (0, 1, 2)))
    assert refused(city.bundle(parts, finality=other), city.policy()) == "finality.header"


def test_the_pinned_block_is_the_one_that_counts() -> None:
    city = unproven()
    pin = replace(city.pin, height=city.height)
    assert refused(city.bundle(), city.policy(pinned=pin)) == "finality.pin"


def test_the_time_is_the_block_s_own() -> None:
    city = unproven()
    finality = city.parts().finality
    assert isinstance(finality, UnprovenFinality)
    later = UnprovenFinality(head=replace(finality.head, time_ms=finality.head.time_ms + 1))
    assert refused(city.bundle(finality=later), city.policy()) == "finality.time"


@pytest.mark.parametrize("city", [NetworkCity(), unproven()], ids=["sealed", "unproven"])
def test_bundles_parts_and_policies_are_read_back(city: NetworkCity) -> None:
    data = city.bundle()
    parts = city.parts()
    assert decode_bundle(data).finality == parts.finality
    assert decode_parts(encode_parts(parts)) == parts
    assert encode_policy(decode_policy(city.policy())) == city.policy()


@pytest.mark.parametrize("city", [NetworkCity(), unproven()], ids=["sealed", "unproven"])
def test_no_byte_of_the_finality_can_be_changed(city: NetworkCity) -> None:
    value = codec.decode(city.bundle())
    for name, found in value["finality"].items():
        if isinstance(found, str):
            last = found[-1]
            changed = found[:-1] + ("1" if last != "1" else "2") if name != "header" else found[:-8] + "AAAAAAA="
        elif isinstance(found, int):
            changed = found + 1
        else:
            changed = [value["finality"]["header"]]
        forged = codec.encode(value | {"finality": value["finality"] | {name: changed}})
        with pytest.raises(UntrustedError):
            verify_bundle(forged, city.policy())


def test_headers_of_other_networks_are_read_strictly() -> None:
    full = sealed(header((0, 1, 2, 3), height=9), (0, 1, 2))
    served, hashed = encode_header(full), full.hashed
    assert hashed_header(served, full.hash) == hashed
    assert hashed_header(hashed, keccak(hashed)) == hashed
    found = decode_foreign(hashed)
    assert (found.hash, found.height, found.consensus_height) == (full.hash, 9, 9)
    for wrong, hash_ in ((served, bytes(32)), (b"", full.hash)):
        with pytest.raises(UntrustedError) as caught:
            hashed_header(wrong, hash_)
        assert caught.value.code == "anchor.header"
    for wrong in (b"", hashed[:-1], hashed + b"\0", b"\xc0"):
        with pytest.raises(UntrustedError) as caught:
            decode_foreign(wrong)
        assert caught.value.code == "anchor.header"
