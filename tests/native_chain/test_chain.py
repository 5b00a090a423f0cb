"""The chain state machine through its door, on the real contracts."""

from __future__ import annotations

import threading

import pytest
import rlp
from eth_account import Account
from eth_account.typed_transactions import TypedTransaction
from hexbytes import HexBytes

from ledger import _native
from ledger.chain.abi import interface
from ledger.errors import (
    ConflictError,
    FatalError,
    InvalidInputError,
    LedgerError,
    NotAllowedError,
    NotFoundError,
    UntrustedError,
)
from tests.native_chain.native_city import CHAIN_ID, START_MS, ZERO, City, calldata, make_member, sign


@pytest.fixture
def city() -> City:
    return City.found()


def code_of(error: pytest.ExceptionInfo[LedgerError]) -> str:
    return error.value.code


def test_genesis_gives_the_contracts_their_addresses_and_the_members_their_slots(city: City) -> None:
    again = City.found()
    assert city.chain.head() == again.chain.head()
    assert city.rows == again.rows
    assert city.chain.chain_id() == CHAIN_ID
    assert city.chain.height() == 0
    head = city.chain.head()
    assert head["time"] == START_MS // 1000
    fields = _native.header_fields(head["header"])
    assert fields["hash"] == head["hash"]
    assert fields["state_root"] == head["state_root"]
    assert (fields["height"], fields["consensus_height"], fields["parent"]) == (0, 0, ZERO)
    for address in city.contracts.values():
        account = city.chain.account(address)
        assert account["nonce"] == 1
        assert _native.keccak256(city.chain.code(address)) == account["code_hash"]
    # _memberOf[account] (slot 0) is the member's id; _activeCount is slot 2: CONTRACTS, frozen storage.
    for member in city.members:
        slot = _native.keccak256(member.account.rjust(32, b"\0") + ZERO)
        assert city.chain.storage(city.contracts["Consortium"], slot) == member.id
    assert int.from_bytes(city.chain.storage(city.contracts["Consortium"], (2).to_bytes(32, "big"))) == 5


def test_a_grant_is_asked_for_approved_and_read(city: City) -> None:
    dataset, publish = city.publish(2, "pop-2026")
    made = city.block([publish, city.request(3, dataset)])
    assert made.refused == []
    published, requested = made.receipts
    assert (published["status"], requested["status"]) == (1, 1)
    assert requested["from"] == city.members[3].account
    assert requested["to"] == city.contracts["Grants"]
    assert requested["cumulative_gas_used"] == published["gas_used"] + requested["gas_used"]
    grant = requested["logs"][-1]["topics"][1]
    approve = calldata("Grants", "approve", grant)
    # The consumer may not approve its own request: outcome, not error, with the reason to decode.
    made = city.block([sign(city.members[3], city.contracts["Grants"], approve)])
    (refused,) = made.receipts
    assert refused["status"] == 0
    assert refused["logs"] == []
    assert interface("Grants").errors[refused["output"][:4]].name == "Grants__NotAllowed"
    (approved,) = city.block([sign(city.members[2], city.contracts["Grants"], approve)]).receipts
    assert approved["status"] == 1
    words = (grant, dataset, city.members[3].id, b"audit".ljust(32, b"\0"), START_MS // 1000 + 60)
    question = calldata("Grants", "isActive", *words)
    ok, answer, gas = city.chain.call(city.contracts["Grants"], question)
    assert (ok, int.from_bytes(answer[:32]), gas > 21_000) == (True, 1, True)
    assert city.chain.call_many([(city.contracts["Grants"], question)] * 3) == [(True, answer)] * 3
    before = city.chain.call(city.contracts["Grants"], question, height=2)[1]
    assert (int.from_bytes(before[:32]), int.from_bytes(before[32:])) == (0, 5)


def test_the_three_types_are_as_eth_account_signs_them(city: City) -> None:
    member, to = city.members[2], city.contracts["Directory"]
    base = {"to": to, "nonce": 0, "gas": 300_000, "value": 0, "data": b"\x01\x02", "chainId": CHAIN_ID}
    listed = {"address": to, "storageKeys": ["0x" + "11" * 32]}
    variants = [
        base | {"gasPrice": 0},
        base | {"gasPrice": 0, "accessList": [listed], "type": 1},
        base | {"maxFeePerGas": 7, "maxPriorityFeePerGas": 3, "accessList": [listed], "type": 2},
    ]
    for kind, variant in enumerate(variants):
        signed = Account.sign_transaction(variant, member.secret)
        raw = bytes(signed.raw_transaction)
        fields = _native.transaction_fields(raw)
        assert fields["hash"] == bytes(signed.hash) == _native.keccak256(raw)
        assert fields["from"] == member.account == HexBytes(Account.recover_transaction(raw))
        assert (fields["type"], fields["to"], fields["input"]) == (kind, to, b"\x01\x02")
        assert (fields["r"], fields["s"], fields["v"]) == (signed.r, signed.s, signed.v)
        assert (fields["nonce"], fields["gas"], fields["value"], fields["chain_id"]) == (0, 300_000, 0, CHAIN_ID)
        assert fields["gas_price"] == (None if kind == 2 else 0)
        assert (fields["max_fee"], fields["max_priority_fee"]) == ((7, 3) if kind == 2 else (None, None))
        assert fields["access_list"] == ([] if kind == 0 else [(to, [b"\x11" * 32])])
        if kind:
            assert TypedTransaction.from_bytes(HexBytes(raw)).hash() == _native.keccak256(
                bytes([kind]) + rlp.encode(rlp.decode(raw[1:])[:-3])
            )


@pytest.mark.parametrize(
    ("error", "code", "build"),
    [
        (NotAllowedError, "tx.not-member", lambda c: sign(make_member(40), c.contracts["Grants"], b"")),
        (NotAllowedError, "tx.create-not-adopted", lambda c: sign(c.members[1], None, b"\x00")),
        (InvalidInputError, "tx.chain-id", lambda c: sign(c.members[1], c.contracts["Grants"], b"", chain=1)),
        (InvalidInputError, "tx.gas", lambda c: sign(c.members[1], c.contracts["Grants"], b"", gas=20_999)),
        (InvalidInputError, "tx.gas", lambda c: sign(c.members[1], c.contracts["Grants"], b"", gas=10**9)),
        (InvalidInputError, "tx.nonce-gap", lambda c: sign(c.members[1], c.contracts["Grants"], b"", nonce=65)),
        (InvalidInputError, "tx.balance", lambda c: sign(c.members[1], c.contracts["Grants"], b"", value=1)),
        (InvalidInputError, "tx.balance", lambda c: sign(c.members[1], c.contracts["Grants"], b"", fee=1, kind=0)),
        (InvalidInputError, "tx.malformed", lambda c: b"\x02\xc0"),
        (InvalidInputError, "tx.malformed", lambda c: bytes(131_073)),
    ],
)
def test_what_is_not_admitted_says_why(city: City, error: type[LedgerError], code: str, build: object) -> None:
    raw = build(city)  # type: ignore[operator]
    with pytest.raises(error) as raised:
        city.chain.check_tx(raw)
    assert code_of(raised) == code
    good = city.publish(2, "a")[1]
    judged = city.chain.check_txs([raw, good])
    assert judged[0] == (code, raised.value.message)
    assert judged[1] == (_native.keccak256(good), city.members[2].account, 0)
    # What is not admitted is not executed either, whoever proposes it.
    root = city.chain.head()["state_root"]
    assert city.chain.execute([raw], START_MS, 1) is None
    assert city.chain.head()["state_root"] == root


def test_a_used_nonce_and_a_gap_are_told_apart(city: City) -> None:
    first = city.publish(2, "a")[1]
    city.block([first])
    with pytest.raises(InvalidInputError) as low:
        city.chain.check_tx(first)
    assert code_of(low) == "tx.nonce-low"
    made = city.chain.execute([city.publish(2, "c", nonce=2)[1], city.publish(2, "b", nonce=1)[1]], START_MS, 2)
    assert made is not None
    assert [(index, code) for index, code, _ in made.refused] == [(0, "tx.nonce-gap")]


def test_adopted_code_may_be_created_and_its_constructor_may_revert() -> None:
    # PUSH2 0xbeef MSTORE, return nothing; and one that reverts with a word.
    makes, reverts = bytes.fromhex("60006000f3"), bytes.fromhex("61dead60005260206000fd")
    city = City.found(adopted=(_native.keccak256(makes), _native.keccak256(reverts)))
    member = city.members[2]
    made = city.block([sign(member, None, makes), sign(member, None, reverts)])
    assert [receipt["status"] for receipt in made.receipts] == [1, 0]
    assert made.receipts[0]["contract"] == _native.keccak256(rlp.encode([member.account, 0]))[12:]
    assert made.receipts[0]["to"] is None
    assert made.receipts[1]["contract"] is None
    assert int.from_bytes(made.receipts[1]["output"]) == 0xDEAD
    assert city.chain.account(made.receipts[0]["contract"])["nonce"] == 1


def test_estimates_and_calls_carry_revert_data(city: City) -> None:
    dataset, publish = city.publish(2, "pop")
    raw_call = _native.transaction_fields(publish)
    gas = city.chain.estimate_gas(raw_call["to"], raw_call["input"], city.members[2].account)
    (receipt,) = city.block([publish]).receipts
    assert receipt["gas_used"] <= gas <= receipt["gas_used"] * 64 // 63 + 5_000
    unknown = calldata("Grants", "approve", bytes(32))
    ok, data, _ = city.chain.call(city.contracts["Grants"], unknown, sender=city.members[2].account)
    assert not ok
    with pytest.raises(InvalidInputError) as raised:
        city.chain.estimate_gas(city.contracts["Grants"], unknown, city.members[2].account)
    assert code_of(raised) == "evm.revert"
    assert raised.value.actual == data
    with pytest.raises(InvalidInputError) as greedy:
        city.chain.call(city.contracts["Grants"], unknown, gas=10**12)
    assert code_of(greedy) == "evm.gas"
    assert dataset


def test_execute_is_pending_until_commit(city: City) -> None:
    head = city.chain.head()
    made = city.chain.execute([city.publish(2, "a")[1]], START_MS + 1_000, 1)
    assert made is not None
    assert city.chain.head() == head
    replaced = city.chain.execute([city.publish(2, "b", nonce=0)[1]], START_MS + 2_000, 1)
    assert replaced is not None
    city.chain.commit()
    assert city.chain.head()["hash"] == replaced.hash != made.hash
    with pytest.raises(ConflictError) as raised:
        city.chain.commit()
    assert code_of(raised) == "chain.no-pending"
    assert _native.header_fields(replaced.header)["state_root"] == replaced.state_root
    assert replaced.time == START_MS // 1000 + 2


def test_a_follower_verifies_and_names_the_difference(city: City) -> None:
    follower = City.found()
    made = city.block([city.publish(2, "a")[1], city.publish(3, "b")[1]])
    other = bytearray(made.header)
    place = made.header.index(made.state_root)
    other[place] ^= 1
    with pytest.raises(UntrustedError) as raised:
        follower.chain.verify_block(bytes(other), made.transactions)
    assert code_of(raised) == "block.state-root"
    assert raised.value.expected != raised.value.actual
    with pytest.raises(UntrustedError) as fewer:
        follower.chain.verify_block(made.header, made.transactions[:1])
    assert code_of(fewer) == "block.transactions-root"
    checked = follower.chain.verify_block(made.header, made.transactions)
    assert (checked.hash, checked.writes) == (made.hash, made.writes)
    follower.chain.commit()
    assert follower.chain.head() == city.chain.head()
    with pytest.raises(UntrustedError) as twice:
        follower.chain.verify_block(made.header, made.transactions)
    assert code_of(twice) == "block.height"


def test_load_gives_back_the_same_chain_and_notices_damage(city: City) -> None:
    for round_ in range(6):
        city.block([city.publish(place, f"{round_}-{place}")[1] for place in range(5)])
    rows = sorted(city.rows.items())
    loaded = _native.Chain.load(city.genesis, iter(rows))
    assert loaded.head() == city.chain.head()
    assert loaded.oldest_provable() == city.chain.oldest_provable() == 0
    slot = (2).to_bytes(32, "big")
    for height in range(7):
        proofs = [chain.proof(city.contracts["Directory"], [slot], height) for chain in (city.chain, loaded)]
        assert proofs[0] == proofs[1]
    changed = [
        (key, b"\x07" if key[:1] == b"s" and place == len(rows) - 1 else value)
        for place, (key, value) in enumerate(rows)
    ]
    assert changed != rows
    with pytest.raises(FatalError) as raised:
        _native.Chain.load(city.genesis, changed)
    assert code_of(raised) == "chain.root-mismatch"
    assert raised.value.expected != raised.value.actual
    with pytest.raises(FatalError) as missing:
        _native.Chain.load(city.genesis, [])
    assert code_of(missing) == "chain.row"
    with pytest.raises(FatalError) as foreign:
        _native.Chain.load(City.found(adopted=(bytes(31) + b"\1",)).genesis, rows)
    assert code_of(foreign) == "chain.genesis-mismatch"


def test_readers_run_beside_the_writer(city: City) -> None:
    """Calls and proofs on four threads while blocks are made: every answer belongs to one whole block."""
    stop = threading.Event()
    faults: list[BaseException] = []
    directory = city.contracts["Directory"]
    question = calldata("Directory", "datasetCount")

    def read() -> None:
        try:
            seen = 0
            while not stop.is_set():
                proof = city.chain.proof(directory, [ZERO])
                root = city.chain.storage(directory, ZERO, proof["height"])
                assert proof["storage"][0]["value"] == root
                ok, answer, _ = city.chain.call(directory, question)
                count = int.from_bytes(answer)
                assert ok
                assert count >= seen
                assert count % 5 == 0
                seen = count
        except BaseException as error:
            faults.append(error)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for round_ in range(20):
        city.block([city.publish(place, f"{round_}-{place}")[1] for place in range(5)])
    stop.set()
    for reader in readers:
        reader.join(300)
    assert faults == []


def test_arguments_of_the_wrong_kind_are_input_errors(city: City) -> None:
    for wrong in (
        lambda: city.chain.account(b"short"),
        lambda: city.chain.storage(bytes(20), b"short"),
        lambda: city.chain.call(bytes(20), "text"),  # type: ignore[arg-type]
        lambda: city.chain.execute(["text"], 0, 1),  # type: ignore[list-item]
        lambda: city.chain.proof(bytes(20), [bytes(32)] * 1025),
        lambda: _native.Chain.genesis(b"{}"),
        lambda: _native.header_fields(b"\xc0"),
        lambda: _native.transaction_fields(b""),
    ):
        with pytest.raises(InvalidInputError):
            wrong()
    with pytest.raises(NotFoundError) as raised:
        city.chain.account(bytes(20), 1)
    assert code_of(raised) == "chain.height"
