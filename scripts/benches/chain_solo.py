"""The part of the chain bench that needs no network: contract writes, durable per block, eth_call, a large state."""

from __future__ import annotations

import hashlib
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plyvel
import rlp
from eth_utils.address import to_checksum_address
from hexbytes import HexBytes
from stdnum.cn import uscc
from web3.types import TxParams

from ledger import _native
from ledger.chain.abi import interface
from ledger.chain.engine import EmbeddedChain
from ledger.chain.genesis import FoundingMember, build_genesis, contract_addresses
from ledger.chain.jsonrpc import JsonRpc
from ledger.chain.provider import in_process
from ledger.identifiers import ascii_bytes32, dataset_id
from ledger.model import KeyRole, Roles
from ledger.storage.chainstate import ChainStore
from ledger.storage.store import Store

CHAIN_ID = 330_000
START_MS = 1_795_305_600_000
#: Calldata (start, n): store start + i at slot start + i, for i < n.
FILLER = bytes.fromhex("6020356000355b8115601b578080556001019060019003906006565b00")
#: Creation code that leaves FILLER.
CREATE_FILLER = bytes.fromhex(f"60{len(FILLER):02x}80600b6000396000f3") + FILLER
FILL_PER_TX = 10_000
#: Blocks before the clock starts. The newest 16 states are held whole (``native/src/chain/window.rs``): the blocks that
#: fill a contract, 20 times as large, are freed with the first 16 after them.
SETTLE = 17


@dataclass(slots=True, kw_only=True)
class Member:
    """A member that signs: its key, account and next nonce."""

    uscc: str
    secret: bytes
    account: bytes
    nonce: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured."""

    writes: int
    block: int
    calls: int
    web3_calls: int
    small: int
    large: int
    rounds: int


class Network:
    """Five members on the real contracts, their rows in LevelDB with one synced batch a block."""

    def __init__(self, folder: Path) -> None:
        self.members = [_member(number) for number in range(5)]
        self.contracts = contract_addresses()
        self.genesis = build_genesis(
            chain_id=CHAIN_ID,
            region="310000",
            time_ms=START_MS,
            members=[_founder(place, member) for place, member in enumerate(self.members)],
            sequencer=self.members[0].uscc,
            adopted=(_native.keccak256(CREATE_FILLER),),
        )
        self.chain, rows = _native.Chain.genesis(self.genesis)
        self.store = plyvel.DB(str(folder), create_if_missing=True, write_buffer_size=64 << 20)
        with self.store.write_batch(sync=True) as batch:
            for key, value in rows:
                batch.put(key, value)
        self.kept = 0
        self.seconds = {"execute": 0.0, "store": 0.0, "commit": 0.0}

    def sign(self, member: Member, to: bytes, data: bytes, gas: int) -> bytes:
        """A type 2 transaction at no price."""
        fields: list[Any] = [CHAIN_ID, member.nonce, 0, 0, gas, to, 0, data, []]
        member.nonce += 1
        signed = _native.secp256k1_sign(member.secret, _native.keccak256(b"\x02" + rlp.encode(fields)))
        point = [signed[64], int.from_bytes(signed[:32], "big"), int.from_bytes(signed[32:64], "big")]
        return b"\x02" + bytes(rlp.encode(fields + point))

    def block(self, raws: Sequence[bytes]) -> _native.ExecutedBlock:
        """Execute, one synced batch, commit: what a node does, without its indexes."""
        height = self.chain.height() + 1
        at = [time.perf_counter()]
        made = self.chain.execute(raws, START_MS + height * 50, height)
        if made is None or made.refused:
            raise SystemExit(f"the bench's own transactions were refused: {made and made.refused[:3]}")
        at.append(time.perf_counter())
        with self.store.write_batch(sync=True) as batch:
            for key, value in made.writes:
                if value is None:
                    batch.delete(key)
                else:
                    batch.put(key, value)
            batch.put(b"B" + height.to_bytes(8, "big"), made.header + b"".join(made.transactions))
        at.append(time.perf_counter())
        self.chain.commit()
        self.kept = height
        at.append(time.perf_counter())
        for name, begin, end in zip(self.seconds, at, at[1:], strict=False):
            self.seconds[name] += end - begin
        return made


def _member(number: int) -> Member:
    base = f"11310000MB2F300{number:02d}"
    secret = hashlib.sha256(f"bench account {number}".encode()).digest()
    account = _native.keccak256(_native.secp256k1_public(secret))[12:]
    return Member(uscc=base + uscc.calc_check_digit(base), secret=secret, account=account)


def _founder(place: int, member: Member) -> FoundingMember:
    keys = tuple(
        (role, hashlib.sha256(f"bench {place} {role}".encode()).digest())
        for role in KeyRole
        if role is not KeyRole.ACCOUNT
    )
    return FoundingMember(
        uscc=member.uscc,
        name=f"Department {place}",
        handle=f"dept-{place}",
        region="310000",
        roles=Roles.SUPERVISOR if place == 0 else Roles(0),
        account=member.account,
        validator=True,
        keys=keys,
    )


def measure_writes(folder: Path, sizes: Sizes) -> dict[str, Any]:
    """Requests for grants by four consumers, signed beforehand."""
    network = Network(folder)
    provider, consumers = network.members[0], network.members[1:]
    dataset = dataset_id(provider.uscc, "population")
    digest = hashlib.sha256(b"bench").digest()
    publish = interface("Directory").functions["publishDataset"].encode(dataset, 2, 1, digest, digest, "population")
    network.block([network.sign(provider, network.contracts["Directory"], publish, 1_000_000)])
    now = START_MS // 1000
    words = (dataset, ascii_bytes32("audit"), digest, digest, digest, 100, now + 86_400 * 300, now + 86_400 * 30)
    request = interface("Grants").functions["request"].encode(*words)
    raws = [network.sign(consumers[i % 4], network.contracts["Grants"], request, 500_000) for i in range(sizes.writes)]
    network.seconds = dict.fromkeys(network.seconds, 0.0)
    gas = rows = 0
    begin, cpu = time.perf_counter(), time.process_time()
    for first in range(0, len(raws), sizes.block):
        made = network.block(raws[first : first + sizes.block])
        gas += sum(receipt["gas_used"] for receipt in made.receipts[:1]) * sizes.block
        rows += len(made.writes)
    elapsed, cpu = time.perf_counter() - begin, time.process_time() - cpu
    failed = sum(receipt["status"] == 0 for receipt in made.receipts)
    if failed:
        raise SystemExit("requests of the bench reverted")
    network.store.close()
    return {
        "writes": sizes.writes,
        "block": sizes.block,
        "seconds": round(elapsed, 3),
        "cpu_seconds": round(cpu, 3),
        "writes_per_second": round(sizes.writes / elapsed),
        "gas_per_write": gas // sizes.writes,
        "rows_per_write": round(rows / sizes.writes, 1),
        "phases_seconds": {name: round(value, 3) for name, value in network.seconds.items()},
    }


def measure_calls(folder: Path, sizes: Sizes) -> dict[str, Any]:
    """``Consortium.isActive`` from Python one by one, and many in one native call."""
    network = Network(folder)
    to = network.contracts["Consortium"]
    data = interface("Consortium").functions["isActive"].encode(network.members[3].uscc.encode().ljust(32, b"\0"))
    call = network.chain.call
    begin = time.perf_counter()
    for _ in range(sizes.calls):
        call(to, data)
    single = sizes.calls / (time.perf_counter() - begin)
    batch = [(to, data)] * 1_000
    begin = time.perf_counter()
    for _ in range(sizes.calls // 1_000):
        network.chain.call_many(batch)
    many = sizes.calls / (time.perf_counter() - begin)
    network.store.close()
    return {
        "calls": sizes.calls,
        "one_by_one_per_second": round(single),
        "call_many_per_second": round(many),
        "web3_calls": sizes.web3_calls,
        "web3_per_second": round(_web3_calls(folder / "web3", network.genesis, to, data, sizes.web3_calls)),
    }


def _web3_calls(folder: Path, genesis: bytes, to: bytes, data: bytes, calls: int) -> float:
    """Calls a second through web3.py and the node's JSON-RPC, in this process."""
    store = Store.open(folder)
    chain = EmbeddedChain.open(ChainStore(store), genesis)
    web3 = in_process(JsonRpc(chain))
    call: TxParams = {"to": to_checksum_address(to), "data": HexBytes(data)}
    if web3.eth.call(call) != chain.call(to, data):
        raise SystemExit("web3.py answers something else")
    begin = time.perf_counter()
    for _ in range(calls):
        web3.eth.call(call)
    elapsed = time.perf_counter() - begin
    chain.close()
    store.close()
    return calls / elapsed


class Filled(Network):
    """A network with a contract that holds so many slots."""

    def __init__(self, folder: Path, slots: int) -> None:
        super().__init__(folder)
        maker = self.members[0]
        self.filler = _native.keccak256(rlp.encode([maker.account, 0]))[12:]
        self.block([self.sign(maker, b"", CREATE_FILLER, 1_000_000)])
        if self.chain.code(self.filler) != FILLER:
            raise SystemExit("the filler contract is not where it should be")
        for place, first in enumerate(range(1, slots, FILL_PER_TX)):
            self.block([self.write(place % 4, first, FILL_PER_TX, 240_000_000)])
        self.fresh = 1 << 128
        self.times: list[float] = []

    def write(self, member: int, first: int, count: int, gas: int) -> bytes:
        """A transaction that writes slots first, first + 1, ..."""
        return self.sign(self.members[member], self.filler, first.to_bytes(32, "big") + count.to_bytes(32, "big"), gas)

    def round(self) -> None:
        """Time a block of 500 transactions with one new slot each; senders are known, as after admission."""
        raws = [self.write(place % 5, self.fresh + place, 1, 100_000) for place in range(500)]
        self.fresh += 500
        self.chain.check_txs(raws)
        self.seconds = dict.fromkeys(self.seconds, 0.0)
        self.block(raws)
        self.times.append(self.seconds["execute"] + self.seconds["commit"])

    def figures(self, slots: int) -> dict[str, Any]:
        """What the rounds took."""
        return {
            "slots_before": slots,
            "block_ms_median": round(statistics.median(self.times) * 1000, 2),
            "block_ms_least": round(min(self.times) * 1000, 2),
            "block_ms_all": [round(value * 1000, 2) for value in self.times],
        }


def measure_growth(folder: Path, sizes: Sizes) -> dict[str, Any]:
    """Blocks of 500 writes at a small and at a large state, in turn; then the restart of the large one."""
    small, large = Filled(folder / "small", sizes.small), Filled(folder / "large", sizes.large)
    for number in range(SETTLE + sizes.rounds):
        if number == SETTLE:
            small.times.clear()
            large.times.clear()
        small.round()
        large.round()
    rows = [(key, value) for key, value in large.store if key[:1] != b"B"]
    begin, cpu = time.perf_counter(), time.process_time()
    loaded = _native.Chain.load(large.genesis, rows)
    restart = {
        "rows": len(rows),
        "seconds": round(time.perf_counter() - begin, 3),
        "cpu_seconds": round(time.process_time() - cpu, 3),
    }
    if loaded.height() != large.kept:
        raise SystemExit("the loaded chain is not at the height stored last")
    for network in (small, large):
        network.store.close()
    return {
        "block": 500,
        "rounds": sizes.rounds,
        "ratio": round(statistics.median(large.times) / statistics.median(small.times), 3),
        "ratio_of_least": round(min(large.times) / min(small.times), 3),
        "small": small.figures(sizes.small),
        "large": large.figures(sizes.large),
        "restart_of_large": restart,
    }
