"""The genesis file: one text, strict reading, contracts that come out as listed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ledger import codec
from ledger.chain.bindings import Contracts
from ledger.chain.devnet import CHAIN_ID, REGION, DevMember
from ledger.chain.embedded import keccak256, new_chain
from ledger.chain.genesis import MAX_GENESIS_BYTES, Limits, build_genesis, contract_addresses, decode_genesis
from ledger.errors import ConflictError, InvalidInputError
from ledger.model import KeyRole

from .conftest import T0_MS


def build(founders: tuple[DevMember, ...], **changes: Any) -> bytes:
    arguments: dict[str, Any] = {
        "chain_id": CHAIN_ID,
        "region": REGION,
        "time_ms": T0_MS,
        "members": [member.founder for member in founders],
        "sequencer": founders[0].uscc,
    }
    return build_genesis(**(arguments | changes))


def test_what_is_built_reads_back_and_is_the_same_every_time(members: tuple[DevMember, ...], genesis: bytes) -> None:
    assert build(members) == genesis
    read = decode_genesis(genesis)
    assert read.members == tuple(member.founder for member in members)
    assert read.digest == hashlib.sha256(genesis).digest()
    assert (read.chain_id, read.region, read.time_ms) == (CHAIN_ID, REGION, T0_MS)
    assert (read.engine, read.sequencer, read.limits) == ("solo", members[0].uscc, Limits())
    assert read.member(members[3].uscc) == members[3].founder
    assert read.member("11310000MB2F99999X") is None


def test_the_contracts_stand_where_and_as_the_file_says(genesis: bytes) -> None:
    read = decode_genesis(genesis)
    chain, _ = new_chain(genesis)
    assert dict(read.contracts) == contract_addresses()
    for name, address in read.contracts.items():
        assert keccak256(chain.code(address)) == read.code_hashes[name], name
    # CREATE addresses of 0xff..fe, nonces 0 to 5, computed once by hand with another RLP.
    assert read.contracts["Consortium"] == keccak256(b"\xd6\x94" + b"\xff" * 19 + b"\xfe\x80")[12:]
    assert read.contracts["Anchors"] == keccak256(b"\xd6\x94" + b"\xff" * 19 + b"\xfe\x03")[12:]
    assert read.contracts["Licences"] == keccak256(b"\xd6\x94" + b"\xff" * 19 + b"\xfe\x04")[12:]
    assert read.contracts["Recognition"] == keccak256(b"\xd6\x94" + b"\xff" * 19 + b"\xfe\x05")[12:]


def test_a_city_founded_before_there_were_licences_still_starts(genesis: bytes) -> None:
    file = codec.decode(genesis, max_bytes=MAX_GENESIS_BYTES)
    del file["contracts"][4:]
    read = decode_genesis(codec.encode(file))
    assert list(read.contracts) == ["Consortium", "Directory", "Grants", "Anchors"]
    contracts, uscc = Contracts.at(lambda *_: b"", read.contracts), read.members[0].uscc
    for ask in (
        lambda: contracts.licences.list_count(uscc),
        lambda: contracts.licences.encode_define(uscc + "001", b""),
    ):
        with pytest.raises(ConflictError) as refused:
            ask()
        assert refused.value.code == "licence.no-contract"
    del file["contracts"][3]
    with pytest.raises(InvalidInputError, match="a genesis lists members"):
        decode_genesis(codec.encode(file))


def test_code_adopted_at_the_start_is_on_chain(members: tuple[DevMember, ...]) -> None:
    from ledger.chain.abi import interface

    chain, _ = new_chain(build(members, adopted=[b"\x07" * 32]))
    consortium = contract_addresses()["Consortium"]
    for digest, expected in ((b"\x07" * 32, True), (b"\x08" * 32, False)):
        succeeded, output, _ = chain.call(consortium, interface("Consortium").encode("adopted", digest))
        assert succeeded
        assert interface("Consortium").decode("adopted", output) == (expected,)


def test_a_sequencer_that_is_no_member_is_refused(members: tuple[DevMember, ...]) -> None:
    with pytest.raises(InvalidInputError) as refused:
        build(members, sequencer="11310000MB2F99999X")
    assert refused.value.code == "genesis.sequencer"


@pytest.mark.parametrize("twice", ["handle", "account"])
def test_founders_the_constructor_refuses_make_no_file(members: tuple[DevMember, ...], twice: str) -> None:
    first, second, *rest = (member.founder for member in members)
    second = replace(second, **{twice: getattr(first, twice)})
    with pytest.raises(InvalidInputError) as refused:
        build(members, members=[first, second, *rest])
    assert refused.value.code == "genesis.constructor"


def change(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def apply(file: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        at: Any = file
        for step in parents:
            at = at[int(step)] if step.isdigit() else at[step]
        at[last] = value

    return apply


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (change("extra", 1), "genesis.field"),
        (change("members.0.extra", 1), "genesis.field"),
        (change("limits.extra", 1), "genesis.field"),
        (change("members.0.validator", 1), "genesis.field"),
        (change("members.0.account", "0x00"), "genesis.field"),
        (change("members.0.account", "0x" + "AB" * 20), "genesis.field"),
        (change("members.0.account", "0x" + "zz" * 20), "genesis.field"),
        (change("members.0.roles", ["king"]), "model.word"),
        (change("members.0.keys.0.role", "king"), "model.word"),
        (change("members.0.uscc", "11310000MB2F00001X"), "identifier.uscc"),
        (change("members.0.handle", "Authority"), "identifier.handle"),
        (change("region", "31000"), "identifier.region"),
        (change("time", "2026-11-22"), "time.format"),
        (change("v", 3), "genesis.version"),
        (change("engine.name", "external"), "genesis.field"),
        (change("engine.name", "somebody"), "genesis.version"),
        (change("engine.name", "cometbft"), "genesis.field"),
        (change("engine", {"name": "solo"}), "genesis.field"),
        (change("chainId", True), "genesis.field"),
        (change("limits.blockGas", 0), "genesis.field"),
        (change("contracts.0.name", "Other"), "genesis.contracts"),
        (change("contracts.1.address", "0x" + "00" * 20), "genesis.contracts"),
        (change("members", {}), "genesis.contracts"),
        (change("members", []), "genesis.sequencer"),
        (change("engine.sequencer", "11310000MB2F000060"), "identifier.uscc"),
    ],
)
def test_a_spoilt_file_is_refused(genesis: bytes, spoil: Callable[[dict[str, Any]], None], code: str) -> None:
    file = codec.decode(genesis, max_bytes=MAX_GENESIS_BYTES)
    spoil(file)
    with pytest.raises(InvalidInputError) as refused:
        decode_genesis(codec.encode(file))
    assert refused.value.code == code


def test_a_file_in_another_spelling_is_refused(genesis: bytes) -> None:
    with pytest.raises(InvalidInputError) as refused:
        decode_genesis(genesis.replace(b'"v":1', b'"v": 1'))
    assert refused.value.code.startswith("json.")


def test_a_missing_field_is_refused(genesis: bytes) -> None:
    file = codec.decode(genesis, max_bytes=MAX_GENESIS_BYTES)
    del file["members"][0]["name"]
    with pytest.raises(InvalidInputError) as refused:
        decode_genesis(codec.encode(file))
    assert refused.value.code == "genesis.field"


def bft(founders: tuple[DevMember, ...], **changes: Any) -> bytes:
    return build(founders, **({"engine": "cometbft", "sequencer": ""} | changes))


def test_a_network_without_a_sequencer_has_validators(members: tuple[DevMember, ...]) -> None:
    founders = [replace(member.founder, validator=number < 4) for number, member in enumerate(members)]
    read = decode_genesis(bft(members, members=founders))
    assert (read.engine, read.sequencer) == ("cometbft", "")
    assert read.validators == tuple(founders[:4])
    keys = [member.key(KeyRole.CONSENSUS) for member in read.validators]
    assert keys == [member.signer(KeyRole.CONSENSUS).public for member in members[:4]]
    assert founders[0].key(KeyRole.ISSUER) is None


def test_every_validator_has_a_key_of_its_own(members: tuple[DevMember, ...]) -> None:
    first = members[0].founder
    keyless = replace(first, keys=tuple(key for key in first.keys if key[0] is not KeyRole.CONSENSUS))
    idle = [replace(member.founder, validator=False) for member in members]
    for founders in ([keyless, *(member.founder for member in members[1:])], idle):
        with pytest.raises(InvalidInputError) as refused:
            bft(members, members=founders)
        assert refused.value.code == "genesis.validators"


@pytest.mark.parametrize("changes", [{"sequencer": "11310000MB2F000017"}, {"engine": "external"}])
def test_an_engine_that_does_not_fit_is_refused(members: tuple[DevMember, ...], changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError) as refused:
        bft(members, **changes)
    assert refused.value.code == "genesis.engine"
