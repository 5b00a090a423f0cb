"""Validators of CometBFT in memory: their headers, votes and RPC answers, written from the specification by hand.

Nothing of the product computes a hash or a signature here, so that the product is compared with a second writer.
Source: CometBFT v0.38, specification of data structures (header hash, canonical vote, simple validator) and RPC.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import Any

from nacl.signing import SigningKey

from ledger.evidence.light import BlockId, LightBlock, LightHeader, Parts
from ledger.evidence.lightrpc import light_block

GENESIS = hashlib.sha256(b"a genesis file").digest()
CHAIN_ID = "civic-" + GENESIS.hex()[:16]
START_NS = 1_795_318_800_000_000_000
#: Flags of a commit's signatures.
ABSENT, COMMIT, NIL = 1, 2, 3


def sha(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def number(tag: int, value: int) -> bytes:
    return varint(tag << 3) + varint(value) if value else b""


def fixed(tag: int, value: int) -> bytes:
    return varint(tag << 3 | 1) + value.to_bytes(8, "little") if value else b""


def data(tag: int, value: bytes) -> bytes:
    return message(tag, value) if value else b""


def message(tag: int, value: bytes) -> bytes:
    """A sub-message, which is written even when it is empty."""
    return varint(tag << 3 | 2) + varint(len(value)) + value


def timestamp(time_ns: int) -> bytes:
    return number(1, time_ns // 10**9) + number(2, time_ns % 10**9)


def merkle(leaves: list[bytes]) -> bytes:
    if not leaves:
        return sha(b"")
    if len(leaves) == 1:
        return sha(b"\0" + leaves[0])
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return sha(b"\1" + merkle(leaves[:half]) + merkle(leaves[half:]))


def block_id_bytes(hash_: bytes, parts: Parts) -> bytes:
    return data(1, hash_) + message(2, number(1, parts.total) + data(2, parts.hash))


def header_hash(header: LightHeader) -> bytes:
    last = header.last_block_id or BlockId(hash=b"", parts=Parts(total=0, hash=b""))
    hashes = (
        header.last_commit_hash, header.data_hash, header.validators_hash, header.next_validators_hash,
        header.consensus_hash, header.app_hash, header.last_results_hash, header.evidence_hash, header.proposer,
    )  # fmt: skip
    first = [
        number(1, header.block_version) + number(2, header.app_version),
        data(1, header.chain_id.encode()),
        number(1, header.height),
        timestamp(header.time_ns),
        block_id_bytes(last.hash, last.parts),
    ]
    return merkle(first + [data(1, item) for item in hashes])


def vote_bytes(chain_id: str, height: int, round_: int, hash_: bytes, parts: Parts, time_ns: int) -> bytes:
    """What a precommit signs; an empty hash is a vote for nil."""
    block = message(4, block_id_bytes(hash_, parts)) if hash_ else b""
    body = number(1, 2) + fixed(2, height) + fixed(3, round_) + block + message(5, timestamp(time_ns))
    body += data(6, chain_id.encode())
    return varint(len(body)) + body


def seed(member: int) -> bytes:
    return sha(b"consensus key %d" % member)


@cache
def secret(member: int) -> SigningKey:
    return SigningKey(seed(member))


@cache
def public(member: int) -> bytes:
    return bytes(secret(member).verify_key)


@cache
def address(member: int) -> bytes:
    return sha(public(member))[:20]


@dataclass(frozen=True, kw_only=True)
class ValidatorSet:
    """Members with their voting power; in CometBFT's order: power downwards, then address."""

    powers: Mapping[int, int]

    @cached_property
    def members(self) -> list[int]:
        return sorted(self.powers, key=lambda member: (-self.powers[member], address(member)))

    @cached_property
    def hash(self) -> bytes:
        return merkle([message(1, data(1, public(item))) + number(2, self.powers[item]) for item in self.members])


def validators(*members: int) -> ValidatorSet:
    """A set of members with one vote each."""
    return ValidatorSet(powers=dict.fromkeys(members, 1))


FOUR = validators(0, 1, 2, 3)


@dataclass(frozen=True, kw_only=True)
class Signed:
    """A consensus height and who voted how; every field may be changed before the answers are asked for."""

    height: int
    app_hash: bytes
    set: ValidatorSet = FOUR
    next: ValidatorSet | None = None
    flags: Mapping[int, int] = field(default_factory=dict)
    round: int = 0
    chain_id: str = CHAIN_ID
    time_ns: int = 0
    parts: Parts = field(default_factory=lambda: Parts(total=1, hash=sha(b"parts")))
    version: tuple[int, int] = (11, 1)
    voted_chain_id: str = ""
    voted_hash: bytes = b""

    @cached_property
    def header(self) -> LightHeader:
        previous = BlockId(hash=sha(b"header %d" % (self.height - 1)), parts=self.parts)
        return LightHeader(
            block_version=self.version[0],
            app_version=self.version[1],
            chain_id=self.chain_id,
            height=self.height,
            time_ns=self.time_ns or START_NS + self.height * 1_234_567_890,
            last_block_id=previous if self.height > 1 else None,
            last_commit_hash=sha(b"commit"),
            data_hash=sha(b""),
            validators_hash=self.set.hash,
            next_validators_hash=(self.next or self.set).hash,
            consensus_hash=sha(b"params"),
            app_hash=self.app_hash,
            last_results_hash=sha(b"results"),
            evidence_hash=sha(b""),
            proposer=address(self.set.members[0]),
        )

    @cached_property
    def hash(self) -> bytes:
        return header_hash(self.header)

    def vote(self, member: int) -> tuple[int, int, bytes]:
        """(flag, time, signature) of a member."""
        flag = self.flags.get(member, COMMIT)
        time_ns = self.header.time_ns + 1_000_000 * (member + 1) + 7
        hash_ = (self.voted_hash or self.hash) if flag == COMMIT else b""
        signed = vote_bytes(self.voted_chain_id or self.chain_id, self.height, self.round, hash_, self.parts, time_ns)
        return flag, time_ns, secret(member).sign(signed).signature

    def answers(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """CometBFT's answers to ``commit`` and ``validators`` of this height."""
        header = self.header
        last = header.last_block_id
        commit = {
            "signed_header": {
                "header": {
                    "version": {"block": str(self.version[0]), "app": str(self.version[1])},
                    "chain_id": header.chain_id,
                    "height": str(header.height),
                    "time": go_time(header.time_ns),
                    "last_block_id": block_id_json(last.hash, last.parts)
                    if last
                    else block_id_json(b"", Parts(total=0, hash=b"")),
                    "last_commit_hash": header.last_commit_hash.hex().upper(),
                    "data_hash": header.data_hash.hex().upper(),
                    "validators_hash": header.validators_hash.hex().upper(),
                    "next_validators_hash": header.next_validators_hash.hex().upper(),
                    "consensus_hash": header.consensus_hash.hex().upper(),
                    "app_hash": header.app_hash.hex().upper(),
                    "last_results_hash": header.last_results_hash.hex().upper(),
                    "evidence_hash": header.evidence_hash.hex().upper(),
                    "proposer_address": header.proposer.hex().upper(),
                },
                "commit": {
                    "height": str(self.height),
                    "round": self.round,
                    "block_id": block_id_json(self.hash, self.parts),
                    "signatures": [self._signature(member) for member in self.set.members],
                },
            },
            "canonical": True,
        }
        listed = [
            {
                "address": address(member).hex().upper(),
                "pub_key": {
                    "type": "tendermint/PubKeyEd25519",
                    "value": base64.b64encode(public(member)).decode(),
                },
                "voting_power": str(self.set.powers[member]),
                "proposer_priority": str(-3 * place),
            }
            for place, member in enumerate(self.set.members)
        ]
        found = {
            "block_height": str(self.height),
            "validators": listed,
            "count": str(len(listed)),
            "total": str(len(listed)),
        }
        return commit, found

    def light(self) -> LightBlock:
        commit, found = self.answers()
        return light_block(rpc(commit), rpc(found))

    def _signature(self, member: int) -> dict[str, Any]:
        flag, time_ns, signature = self.vote(member)
        if flag == ABSENT:
            return {
                "block_id_flag": 1,
                "validator_address": "",
                "timestamp": "0001-01-01T00:00:00Z",
                "signature": None,
            }
        return {
            "block_id_flag": flag,
            "validator_address": address(member).hex().upper(),
            "timestamp": go_time(time_ns),
            "signature": base64.b64encode(signature).decode(),
        }


def rpc(result: dict[str, Any]) -> bytes:
    """A result as the JSON-RPC answer that CometBFT sends."""
    return json.dumps({"jsonrpc": "2.0", "id": -1, "result": result}).encode()


def block_id_json(hash_: bytes, parts: Parts) -> dict[str, Any]:
    return {"hash": hash_.hex().upper(), "parts": {"total": parts.total, "hash": parts.hash.hex().upper()}}


def go_time(time_ns: int) -> str:
    """RFC3339Nano: no zeros at the end of the fraction."""
    seconds, nanos = divmod(time_ns, 10**9)
    fraction = f".{nanos:09d}".rstrip("0").rstrip(".")
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"


def block_hash(height: int) -> bytes:
    """The hash of the chain block made at a consensus height, where only its being one matters."""
    return sha(b"chain block of %d" % height)


def signed(height: int, **changes: Any) -> Signed:
    """The height that follows a chain block; ``changes`` are fields of :class:`Signed`."""
    return replace(Signed(height=height, app_hash=block_hash(height - 1)), **changes)
