"""Light blocks of CometBFT: a signed header with the validators that signed it (``docs/formats.md``, finality of the
cometbft engine).

Only what a verifier needs is kept, and of that nothing that follows from something else: no block id (it is the
header's hash), no addresses (they follow from the keys), no votes beyond the smallest number over two thirds of the
power. The signatures are judged by the native light client.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from ledger import _native, codec
from ledger.codec import b64, unb64
from ledger.errors import InvalidInputError, UntrustedError
from ledger.evidence.fields import array, fields, hex_of, integer, text, unhex
from ledger.model import MAX_TIME_MS

#: The native light client has the same bounds.
MAX_VALIDATORS: Final = 100
MAX_LIGHT_BYTES: Final = 65_536
MAX_POWER: Final = ((1 << 53) - 1) // MAX_VALIDATORS
_MAX_APP_HASH: Final = 32

_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})\.([0-9]{9})Z\Z")
_HEADER: Final = frozenset(
    {
        "appHash", "appVersion", "blockVersion", "chainId", "consensusHash", "dataHash", "evidenceHash", "height",
        "lastBlockId", "lastCommitHash", "lastResultsHash", "nextValidatorsHash", "proposer", "time", "validatorsHash",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of a proposed block: how many, and their Merkle root (32 bytes)."""

    total: int
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockId:
    """What identifies a block of CometBFT: the hash of its header (32 bytes) and its parts."""

    hash: bytes
    parts: Parts


@dataclass(frozen=True, slots=True, kw_only=True)
class LightHeader:
    """A header of CometBFT v0.38. Hashes: 32 bytes, ``app_hash`` at most 32; ``proposer``: 20 bytes; ``height``: the
    consensus height; ``time_ns``: Unix nanoseconds; ``last_block_id``: None at height 1."""

    block_version: int
    app_version: int
    chain_id: str
    height: int
    time_ns: int
    last_block_id: BlockId | None
    last_commit_hash: bytes
    data_hash: bytes
    validators_hash: bytes
    next_validators_hash: bytes
    consensus_hash: bytes
    app_hash: bytes
    last_results_hash: bytes
    evidence_hash: bytes
    proposer: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LightValidator:
    """A validator of a set: its Ed25519 key (32 bytes) and voting power."""

    key: bytes
    power: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """A validator's precommit for the block: the time in it (Unix nanoseconds) and its signature (64 bytes)."""

    time_ns: int
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class LightBlock:
    """A signed header, not verified: header, round and parts of the commit, the validators in CometBFT's order, and the
    votes of the first of them (None: no vote that counts)."""

    header: LightHeader
    round: int
    parts: Parts
    votes: tuple[Vote | None, ...]
    validators: tuple[LightValidator, ...]

    @property
    def height(self) -> int:
        """The consensus height."""
        return self.header.height

    @property
    def time_ms(self) -> int:
        """The signed time in Unix milliseconds, rounded down."""
        return self.header.time_ns // 1_000_000

    @property
    def app_hash(self) -> bytes:
        """What the application answered to the height before: the hash of its last chain block."""
        return self.header.app_hash

    @property
    def chain_id(self) -> str:
        """CometBFT's name of the chain."""
        return self.header.chain_id

    @property
    def validators_hash(self) -> bytes:
        """Hash of the validators that sign this height."""
        return self.header.validators_hash

    @property
    def next_validators_hash(self) -> bytes:
        """Hash of the validators that sign the next height."""
        return self.header.next_validators_hash

    @property
    def changes_set(self) -> bool:
        """Whether other validators sign the next height."""
        return self.validators_hash != self.next_validators_hash

    def encode(self) -> bytes:
        """The canonical bytes. Raises: InvalidInputError(json.* | time.range)."""
        return codec.encode(light_object(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class LightFacts:
    """What the light client found: hash of the header (32 bytes), power that signed it, power of the set."""

    hash: bytes
    signed: int
    total: int


def verify_light(
    blocks: Sequence[LightBlock], chain_id: str, pin: tuple[int, bytes, bytes] | None = None
) -> tuple[LightFacts, ...]:
    """Verify a hand-over and the light block it leads to: each is signed by more than two thirds of its own validators
    and vouches for the next; with a pin (consensus height, header hash, validators hash), the pin vouches for the last.

    The trusting period is judged by the caller. Raises: InvalidInputError(finality.*), UntrustedError(finality.*).
    """
    found = _native.verify_light([block.encode() for block in blocks], chain_id, pin)
    return tuple(LightFacts(hash=hash_, signed=signed, total=total) for hash_, signed, total in found)


def smallest_prefix(votes: Sequence[Vote | None], validators: Sequence[LightValidator]) -> tuple[Vote | None, ...]:
    """The first votes, as few as have more than two thirds of the power; ``votes`` stand at their validators' places.

    Raises: UntrustedError(finality.quorum).
    """
    total, signed = sum(validator.power for validator in validators), 0
    for count, (vote, validator) in enumerate(zip(votes, validators, strict=False), 1):
        signed += validator.power if vote is not None else 0
        if 3 * signed > 2 * total:
            return tuple(votes[:count])
    raise UntrustedError(
        "finality.quorum",
        "two thirds of the validators' power or less signed the block",
        hint="take it again from the node: a final block is signed by more than two thirds",
        expected=2 * total // 3 + 1,
        actual=signed,
    )


def light_object(block: LightBlock) -> dict[str, Any]:
    """A light block as JSON."""
    header = block.header
    last = header.last_block_id
    return {
        "commit": {
            "parts": _parts_object(block.parts),
            "round": block.round,
            "votes": [
                None if vote is None else {"signature": b64(vote.signature), "time": format_nanos(vote.time_ns)}
                for vote in block.votes
            ],
        },
        "header": {
            "appHash": header.app_hash.hex(),
            "appVersion": header.app_version,
            "blockVersion": header.block_version,
            "chainId": header.chain_id,
            "consensusHash": hex_of(header.consensus_hash),
            "dataHash": hex_of(header.data_hash),
            "evidenceHash": hex_of(header.evidence_hash),
            "height": header.height,
            "lastBlockId": None if last is None else {"hash": hex_of(last.hash), "parts": _parts_object(last.parts)},
            "lastCommitHash": hex_of(header.last_commit_hash),
            "lastResultsHash": hex_of(header.last_results_hash),
            "nextValidatorsHash": hex_of(header.next_validators_hash),
            "proposer": hex_of(header.proposer, 20),
            "time": format_nanos(header.time_ns),
            "validatorsHash": hex_of(header.validators_hash),
        },
        "validators": [{"key": hex_of(item.key), "power": item.power} for item in block.validators],
    }


def read_light(value: Any) -> LightBlock:
    """The inverse of :func:`light_object`; nothing is verified yet. Raises: InvalidInputError(json.* | finality.*)."""
    whole = fields(value, frozenset({"commit", "header", "validators"}))
    commit = fields(whole["commit"], frozenset({"parts", "round", "votes"}))
    header = fields(whole["header"], _HEADER)
    last = header["lastBlockId"]
    return LightBlock(
        header=LightHeader(
            block_version=integer(header["blockVersion"]),
            app_version=integer(header["appVersion"]),
            chain_id=text(header["chainId"]),
            height=integer(header["height"]),
            time_ns=parse_nanos(text(header["time"])),
            last_block_id=None if last is None else _block_id(last),
            last_commit_hash=unhex(header["lastCommitHash"]),
            data_hash=unhex(header["dataHash"]),
            validators_hash=unhex(header["validatorsHash"]),
            next_validators_hash=unhex(header["nextValidatorsHash"]),
            consensus_hash=unhex(header["consensusHash"]),
            app_hash=_app_hash(text(header["appHash"])),
            last_results_hash=unhex(header["lastResultsHash"]),
            evidence_hash=unhex(header["evidenceHash"]),
            proposer=unhex(header["proposer"], 20),
        ),
        round=integer(commit["round"]),
        parts=_parts(commit["parts"]),
        votes=tuple(None if vote is None else _vote(vote) for vote in array(commit["votes"], MAX_VALIDATORS)),
        validators=tuple(_validator(item) for item in array(whole["validators"], MAX_VALIDATORS)),
    )


def format_nanos(time_ns: int) -> str:
    """Unix nanoseconds as ``2026-11-22T03:41:45.684123456Z``. Raises: InvalidInputError(time.range)."""
    if not 0 <= time_ns <= MAX_TIME_MS * 1_000_000 + 999_999:
        raise InvalidInputError("time.range", "a time lies between 1970 and 9999", actual=time_ns)
    seconds, nanos = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"


def parse_nanos(word: str) -> int:
    """The inverse of :func:`format_nanos`; exactly that form. Raises: InvalidInputError(time.nanos)."""
    match = _TIME.match(word)
    try:
        if match is None:
            raise ValueError(word)
        value = int(datetime.fromisoformat(match[1] + "+00:00").timestamp()) * 1_000_000_000 + int(match[2])
        if value < 0:
            raise ValueError(word)
    except ValueError:
        raise InvalidInputError(
            "time.nanos",
            f"not a time: {ascii(word)[:40]}",
            hint="UTC with nine decimals, e.g. 2026-11-22T03:41:45.684123456Z",
            actual=ascii(word)[:40],
        ) from None
    return value


def _parts_object(parts: Parts) -> dict[str, Any]:
    return {"hash": hex_of(parts.hash), "total": parts.total}


def _parts(value: Any) -> Parts:
    item = fields(value, frozenset({"hash", "total"}))
    return Parts(total=integer(item["total"]), hash=unhex(item["hash"]))


def _block_id(value: Any) -> BlockId:
    item = fields(value, frozenset({"hash", "parts"}))
    return BlockId(hash=unhex(item["hash"]), parts=_parts(item["parts"]))


def _vote(value: Any) -> Vote:
    item = fields(value, frozenset({"signature", "time"}))
    return Vote(time_ns=parse_nanos(text(item["time"])), signature=unb64(text(item["signature"]), 64))


def _validator(value: Any) -> LightValidator:
    item = fields(value, frozenset({"key", "power"}))
    return LightValidator(key=unhex(item["key"]), power=integer(item["power"]))


def _app_hash(word: str) -> bytes:
    if len(word) > 2 * _MAX_APP_HASH or len(word) % 2:
        raise InvalidInputError("json.fields", f"an app hash has at most {_MAX_APP_HASH} bytes", actual=word[:80])
    return unhex(word, len(word) // 2)
