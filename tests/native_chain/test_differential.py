"""One stream of 1,000 signed transactions on our state machine and on anvil: everything comparable is equal.

Both start from one state: a first anvil runs the constructors only to learn the plain slots they write (we keep hashed
ones), a second anvil gets our genesis state as its ``alloc``. Compared per block: transactions root, receipts root,
logs bloom, gas used, and the state root of anvil's state; per transaction: status, gas, cumulative gas, logs; at the
end: every account and slot, and ``eth_getProof`` answers node by node.

What cannot be compared, and why:
- block hash, parent hash, PREVRANDAO (mixHash) and extraData: anvil has rules of its own for them (no contract of ours
  reads them); anvil leaves the state root of a genesis header with an ``alloc`` empty;
- the state root as anvil states it: anvil 1.7.1 keeps empty accounts (coinbase, precompiles, receivers of nothing)
  against EIP-161 and slots of zero. So its state is hashed by a plain trie both ways: with them it gives anvil's root,
  without them ours. The proofs are those of a third anvil that is given the final state;
- the contract address in the receipt of a failed creation, which anvil shows and we do not;
- what our membership rules refuse, because anvil has no such rules (``test_chain`` covers those).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger import _native
from ledger.identifiers import ascii_bytes32, dataset_id
from tests.native_chain import anvil
from tests.native_chain.native_city import CHAIN_ID, START_MS, ZERO, City, calldata, digest, make_genesis, sign
from tests.native_chain.plain_trie import state_root

BLOCKS, PER_BLOCK = 20, 50
BLOCK_GAS = 1_000_000_000
#: anvil proves absence in an empty trie by its one node; geth, and we, by none.
EMPTY_TRIE = b"\x80"
DEPLOYER = "0xfffffffffffffffffffffffffffffffffffffffe"
#: Leaves two bytes of code; reverts with a word; stores, calls itself and destroys itself.
ADOPTED = (
    bytes.fromhex("61beef6000526002601ef3"),
    bytes.fromhex("61dead60005260206000fd"),
    bytes.fromhex("600160005533ff"),
)


def hexed(value: bytes | int) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else hex(value)


def plain(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


class Stream:
    """A seeded mix of what members do, right and wrong."""

    def __init__(self, city: City, seed: int) -> None:
        self.city = city
        self.numbers = random.Random(seed)
        self.datasets: list[tuple[int, bytes]] = []
        self.grants: list[tuple[int, int, bytes]] = []
        self.requests = [0] * len(city.members)
        self.sizes = [0] * len(city.members)
        self.kinds: dict[str, int] = {}

    def next(self) -> bytes:
        makers: list[tuple[int, Callable[[], bytes]]] = [
            (20, self.publish),
            (22, self.request),
            (18, self.decide),
            (8, self.anchor),
            (6, self.rotate),
            (6, self.transfer),
            (6, self.create),
            (5, self.propose),
            (5, self.starve),
            (4, self.nonsense),
        ]
        maker = self.numbers.choices([maker for _, maker in makers], [weight for weight, _ in makers])[0]
        self.kinds[maker.__name__] = self.kinds.get(maker.__name__, 0) + 1
        return maker()

    def who(self) -> int:
        return self.numbers.randrange(len(self.city.members))

    def send(self, member: int, contract: str, function: str, *args: object, gas: int = 800_000) -> bytes:
        to = self.city.contracts[contract]
        kind = self.numbers.randrange(3)
        over: dict[str, Any] = {}
        if kind and self.numbers.random() < 0.3:
            slots = [self.numbers.randrange(4).to_bytes(32, "big") for _ in range(2)]
            over["access"] = [[to, slots], [self.city.contracts["Consortium"], [ZERO]]]
        return sign(self.city.members[member], to, calldata(contract, function, *args), kind=kind, gas=gas, **over)

    def publish(self) -> bytes:
        member, code = self.who(), f"r-{self.numbers.randrange(150)}"  # the same code twice: a revert
        id_ = dataset_id(self.city.members[member].uscc, code)
        self.datasets.append((member, id_))
        sharing, level = self.numbers.choice([(1, 1), (2, 1), (2, 2), (2, 3), (9, 1)])
        words = (id_, sharing, level, digest("metadata", code), digest("basis", code), code)
        return self.send(member, "Directory", "publishDataset", *words)

    def request(self) -> bytes:
        member = self.who()
        _, dataset = self.numbers.choice(self.datasets) if self.datasets else (0, ZERO)
        self.requests[member] += 1
        now = START_MS // 1000
        words = (ascii_bytes32("audit"), digest("matter"), digest("scope"), digest("odrl"))
        return self.send(member, "Grants", "request", dataset, *words, 9, now + 86_400 * 300, now + 86_400 * 30)

    def decide(self) -> bytes:
        if not self.grants:
            return self.publish()
        provider, consumer, grant = self.numbers.choice(self.grants)
        who = self.numbers.choice([provider, consumer, 0])
        what = self.numbers.choice(["approve", "approve", "refuse", "revoke"])
        extra = () if what == "approve" else (self.numbers.randrange(4), digest("because"))
        return self.send(who, "Grants", what, grant, *extra)

    def anchor(self) -> bytes:
        member = self.who()
        size = self.numbers.randrange(1, 9)  # only a first anchor fits without a proof: the rest revert
        return self.send(
            member, "Anchors", "record", self.city.members[member].id, size, digest("root", size), ZERO, []
        )

    def rotate(self) -> bytes:
        member, role = self.who(), self.numbers.choice([2, 6, 7])
        old = digest("key", member, role) if self.numbers.random() < 0.7 else ZERO
        now = START_MS // 1000
        return self.send(
            member,
            "Consortium",
            "rotateKey",
            role,
            digest("new", len(self.kinds), now, role, self.who()),
            now,
            0,
            old,
            b"",
        )

    def transfer(self) -> bytes:
        to = self.numbers.choice(
            [digest("nobody", self.who())[:20], self.city.members[self.who()].account, bytes(19) + b"\x02"]
        )
        data = self.numbers.choice([b"", b"hello"])
        return sign(self.city.members[self.who()], to, data, kind=self.numbers.randrange(3), gas=60_000)

    def create(self) -> bytes:
        return sign(self.city.members[self.who()], None, self.numbers.choice(ADOPTED), kind=self.numbers.randrange(3))

    def propose(self) -> bytes:
        target = self.city.members[self.who()].id
        expiry = START_MS // 1000 + 86_400 * 10
        if self.numbers.random() < 0.5:
            return self.send(
                self.who(), "Consortium", "vote", self.numbers.randrange(1, 6), self.numbers.random() < 0.8
            )
        return self.send(self.who(), "Consortium", "propose", 5, target + bytes(32), expiry)

    def starve(self) -> bytes:
        code = f"starved-{self.numbers.randrange(10_000)}"
        member = self.who()
        words = (dataset_id(self.city.members[member].uscc, code), 1, 1, digest("m"), digest("b"), code)
        return self.send(member, "Directory", "publishDataset", *words, gas=self.numbers.randrange(40_000, 120_000))

    def nonsense(self) -> bytes:
        contract = self.numbers.choice(["Consortium", "Directory", "Grants", "Anchors", "Licences", "Recognition"])
        data = self.numbers.choice([b"", b"\xff\xff\xff\xff", digest("x")])
        return sign(self.city.members[self.who()], self.city.contracts[contract], data, gas=200_000)

    def learn(self, receipts: list[dict[str, Any]]) -> None:
        """Grants that came to be: later steps decide on them. Of the event: id, dataset, consumer; provider, ..."""
        members = [member.id for member in self.city.members]
        for receipt in receipts:
            for log in receipt["logs"]:
                if len(log["topics"]) == 4 and len(log["data"]) == 8 * 32:
                    provider, consumer = members.index(log["data"][:32]), members.index(log["topics"][3])
                    self.grants.append((provider, consumer, log["topics"][1]))


def genesis_alloc(city: City) -> dict[str, dict[str, Any]]:
    """Our state after genesis by plain addresses and slots: anvil runs the same constructors to tell which slots."""
    listed = json.loads(city.genesis)["contracts"]
    early = str(START_MS // 1000 - 60)
    flags = ("--chain-id", str(CHAIN_ID), "--gas-limit", str(BLOCK_GAS), "--auto-impersonate", "--timestamp", early)
    with anvil.running(*flags) as first:
        for contract in listed:
            call = {"from": DEPLOYER, "data": contract["code"], "gas": hex(100_000_000), "gasPrice": "0x0"}
            first.call("eth_sendTransaction", call)
        first.mine(START_MS // 1000)
        found = first.accounts()
    alloc: dict[str, dict[str, Any]] = {DEPLOYER: {"nonce": hex(len(listed)), "balance": "0x0"}}
    for contract in listed:
        address = plain(contract["address"])
        slots = [int(slot, 16).to_bytes(32, "big") for slot in found[contract["address"]]["storage"]]
        alloc[contract["address"]] = {
            "nonce": "0x1",
            "balance": "0x0",
            "code": hexed(city.chain.code(address)),
            "storage": {hexed(slot): hexed(city.chain.storage(address, slot)) for slot in slots},
        }
    return alloc


def entry(account: dict[str, Any]) -> dict[str, Any]:
    """An account of a dump as one of an ``alloc``."""
    storage = {slot: value for slot, value in account["storage"].items() if as_number(value)}
    return {"nonce": hex(as_number(account["nonce"])), "balance": "0x0", "code": account["code"], "storage": storage}


def genesis_of(alloc: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A genesis file as Ethereum's clients read it."""
    return {
        "config": {"chainId": CHAIN_ID, "terminalTotalDifficulty": 0, "terminalTotalDifficultyPassed": True},
        "nonce": "0x0",
        "timestamp": hex(START_MS // 1000),
        "extraData": "0x0000000000000000",
        "gasLimit": hex(BLOCK_GAS),
        "difficulty": "0x0",
        "mixHash": hexed(ZERO),
        "coinbase": hexed(bytes(20)),
        "baseFeePerGas": "0x0",
        "alloc": alloc,
    }


@pytest.fixture
def twins(tmp_path: Path) -> Iterator[tuple[City, anvil.Anvil]]:
    """Our city, and an anvil that starts from the same state."""
    anvil.program()
    city = City.found(adopted=tuple(_native.keccak256(code) for code in ADOPTED))
    file = tmp_path / "genesis.json"
    file.write_text(json.dumps(genesis_of(genesis_alloc(city))), "utf-8")
    flags = ("--init", str(file), "--chain-id", str(CHAIN_ID), "--gas-limit", str(BLOCK_GAS))
    with anvil.running(*flags) as other:
        yield city, other


def test_the_same_stream_gives_the_same_chain(twins: tuple[City, anvil.Anvil], tmp_path: Path) -> None:
    city, other = twins
    # anvil leaves the state root of a genesis with an ``alloc`` empty; the first node of a proof shows it.
    proof = other.call("eth_getProof", hexed(city.contracts["Consortium"]), [], "latest")["accountProof"]
    assert _native.keccak256(plain(proof[0])) == city.chain.head()["state_root"]
    stream = Stream(city, 2026)
    statuses = [0, 0]
    for round_ in range(BLOCKS):
        raws = [stream.next() for _ in range(PER_BLOCK)]
        made = city.block(raws, seconds=300)
        assert made.refused == []
        hashes = other.batch([("eth_sendRawTransaction", [hexed(raw)]) for raw in raws])
        block = other.mine(made.time)
        assert [plain(hash_) for hash_ in block["transactions"]] == [plain(hash_) for hash_ in hashes]
        compare_block(made, block)
        compare_roots(made.state_root, plain(block["stateRoot"]), other.accounts())
        receipts = other.batch([("eth_getTransactionReceipt", [hash_]) for hash_ in hashes])
        for place, (ours, theirs) in enumerate(zip(made.receipts, receipts, strict=True)):
            assert comparable(ours) == comparable_of_anvil(theirs), (round_, place)
            statuses[ours["status"]] += 1
        stream.learn(made.receipts)
    # The stream holds what it is for: enough of both outcomes, and every kind of transaction.
    assert sum(statuses) == BLOCKS * PER_BLOCK == 1_000
    assert min(statuses) > 200, statuses
    assert len(stream.kinds) == 10
    accounts = other.accounts()
    assert compare_state(city, accounts) > 2_000
    # An anvil that is given the final state without empty accounts and zeros answers as we do.
    held = {address: account for address, account in accounts.items() if city.chain.account(plain(address))["nonce"]}
    final = tmp_path / "final.json"
    final.write_text(json.dumps(genesis_of({address: entry(account) for address, account in held.items()})), "utf-8")
    with anvil.running("--init", str(final), "--chain-id", str(CHAIN_ID)) as third:
        compare_proofs(city, held, third)


def compare_block(made: _native.ExecutedBlock, block: dict[str, Any]) -> None:
    ours = _native.header_fields(made.header)
    assert int(block["number"], 16) == made.height
    assert int(block["timestamp"], 16) == made.time
    assert int(block["gasUsed"], 16) == ours["gas_used"]
    assert int(block["gasLimit"], 16) == ours["gas_limit"]
    assert int(block["baseFeePerGas"], 16) == 0
    assert plain(block["transactionsRoot"]) == ours["transactions_root"]
    assert plain(block["receiptsRoot"]) == ours["receipts_root"]
    assert plain(block["logsBloom"]) in made.header


def compare_roots(ours: bytes, theirs: bytes, accounts: dict[str, dict[str, Any]]) -> None:
    state = {
        plain(address): (
            as_number(account["nonce"]),
            as_number(account["balance"]),
            plain(account["code"]),
            {as_number(slot).to_bytes(32, "big"): as_number(value) for slot, value in account["storage"].items()},
        )
        for address, account in accounts.items()
    }
    # What anvil dumps is what it hashes, so nothing is missing in the dump ...
    assert state_root(state, keep_nothing=True) == theirs
    # ... and hashed by Ethereum's rules it is our state.
    assert state_root(state) == ours


def as_number(value: int | str) -> int:
    return value if isinstance(value, int) else int(value, 16)


def comparable(receipt: dict[str, Any]) -> tuple[Any, ...]:
    logs = [(log["address"], tuple(log["topics"]), log["data"]) for log in receipt["logs"]]
    gas = (receipt["gas_used"], receipt["cumulative_gas_used"])
    made = receipt["contract"] if receipt["status"] else None
    return receipt["hash"], receipt["from"], receipt["to"], receipt["status"], gas, logs, made


def comparable_of_anvil(receipt: dict[str, Any]) -> tuple[Any, ...]:
    logs = [
        (plain(log["address"]), tuple(plain(topic) for topic in log["topics"]), plain(log["data"]))
        for log in receipt["logs"]
    ]
    status = int(receipt["status"], 16)
    gas = (int(receipt["gasUsed"], 16), int(receipt["cumulativeGasUsed"], 16))
    to = None if receipt["to"] is None else plain(receipt["to"])
    made = plain(receipt["contractAddress"]) if status and receipt["contractAddress"] else None
    return plain(receipt["transactionHash"]), plain(receipt["from"]), to, status, gas, logs, made


def compare_state(city: City, accounts: dict[str, dict[str, Any]]) -> int:
    """Every account and slot; the number of slots that hold something."""
    slots_seen = 0
    for text, theirs in accounts.items():
        address = plain(text)
        ours = city.chain.account(address)
        assert (ours["nonce"], ours["balance"]) == (as_number(theirs["nonce"]), as_number(theirs["balance"])), text
        assert city.chain.code(address) == plain(theirs["code"]), text
        for slot, value in theirs["storage"].items():
            key = as_number(slot).to_bytes(32, "big")
            assert city.chain.storage(address, key) == as_number(value).to_bytes(32, "big"), (text, slot)
            slots_seen += as_number(value) != 0
    return slots_seen


def compare_proofs(city: City, accounts: dict[str, dict[str, Any]], other: anvil.Anvil) -> None:
    """``eth_getProof`` of present and absent accounts and slots, node by node."""
    numbers = random.Random(1186)
    nobody = [hexed(digest("nobody at all", number)[:20]) for number in range(20)]
    for address in [*accounts, *nobody]:
        slots = sorted(accounts.get(address, {"storage": {}})["storage"])
        chosen = numbers.sample(slots, min(len(slots), 60)) + [hexed(digest("absent", number)) for number in range(9)]
        theirs = other.call("eth_getProof", address, chosen, "latest")
        ours = city.chain.proof(plain(address), [as_number(slot).to_bytes(32, "big") for slot in chosen])
        assert ours["account_proof"] == [plain(node) for node in theirs["accountProof"]]
        assert (ours["storage_hash"], ours["code_hash"]) == (plain(theirs["storageHash"]), plain(theirs["codeHash"]))
        assert (ours["nonce"], ours["balance"]) == (as_number(theirs["nonce"]), as_number(theirs["balance"]))
        for mine, entry in zip(ours["storage"], theirs["storageProof"], strict=True):
            assert int.from_bytes(mine["value"]) == as_number(entry["value"])
            nodes = [plain(node) for node in entry["proof"]]
            assert mine["proof"] == ([] if nodes == [EMPTY_TRIE] else nodes)


def test_genesis_file_is_ours_to_repeat() -> None:
    """The stream's city is the same in every run: what failed once can be run again."""
    cities = [City.found(adopted=tuple(_native.keccak256(code) for code in ADOPTED)) for _ in range(2)]
    assert (
        cities[0].genesis
        == cities[1].genesis
        == make_genesis(cities[0].members, tuple(map(_native.keccak256, ADOPTED)))
    )
    streams = [Stream(city, 7) for city in cities]
    assert [streams[0].next() for _ in range(40)] == [streams[1].next() for _ in range(40)]
