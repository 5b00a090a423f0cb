"""Light blocks from the answers of CometBFT's RPC, read strictly: ``/commit`` and ``/validators`` of one height.

An answer is either the whole JSON-RPC answer or its ``result`` alone. Source: CometBFT v0.38, RPC.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Final

from ledger.codec import unb64
from ledger.errors import InvalidInputError, LedgerError, UntrustedError
from ledger.evidence.fields import array, fields, flag, text
from ledger.evidence.light import (
    MAX_POWER,
    MAX_VALIDATORS,
    BlockId,
    LightBlock,
    LightHeader,
    LightValidator,
    Parts,
    Vote,
    parse_nanos,
    smallest_prefix,
    verify_light,
)

MAX_ANSWER_BYTES: Final = 262_144
_KEY_TYPE: Final = "tendermint/PubKeyEd25519"
#: Flags of a commit's signatures: absent, for the block, for nil.
_ABSENT, _COMMIT, _NIL = 1, 2, 3
_MAX_DEPTH: Final = 16
_BRACKETS = re.compile(rb"[\[\]{}]")
_NUMBER = re.compile(r"(0|[1-9][0-9]{0,18})\Z")
_SIGNED = re.compile(r"-?(0|[1-9][0-9]{0,18})\Z")
_HEX = re.compile(r"([0-9A-F]{2})*\Z")
_TIME = re.compile(r"([0-9T:-]{19})(?:\.([0-9]{1,9}))?Z\Z")
_HEADER: Final = frozenset(
    {
        "app_hash", "chain_id", "consensus_hash", "data_hash", "evidence_hash", "height", "last_block_id",
        "last_commit_hash", "last_results_hash", "next_validators_hash", "proposer_address", "time", "validators_hash",
        "version",
    }
)  # fmt: skip


def light_block(commit_json: bytes, validators_json: bytes) -> LightBlock:
    """The light block of a height from CometBFT's answers to ``commit`` and ``validators`` (all on one page), verified
    in itself: the smallest number of votes over two thirds of the validators' power is taken and checked.

    Raises: InvalidInputError(finality.rpc) for answers that are none or do not belong together;
    UntrustedError(finality.*).
    """
    try:
        signed = fields(_result(commit_json), frozenset({"canonical", "signed_header"}))
        flag(signed["canonical"])
        parts = fields(signed["signed_header"], frozenset({"commit", "header"}))
        header = _header(parts["header"])
        commit = fields(parts["commit"], frozenset({"block_id", "height", "round", "signatures"}))
        block_id = _block_id(commit["block_id"])
        validators, addresses = _validators(validators_json, header.height)
        signatures = array(commit["signatures"], MAX_VALIDATORS)
        _same("height of the commit", header.height, _number(commit["height"]))
        _same("number of signatures", len(validators), len(signatures))
        votes = [_vote(item, address) for item, address in zip(signatures, addresses, strict=True)]
        round_ = _small(commit["round"])
    except LedgerError as error:
        raise InvalidInputError(
            "finality.rpc",
            f"not CometBFT's answer about a height: {error.message}",
            hint="CometBFT v0.38 is needed; see its version with `cometbft version`",
            expected=error.expected,
            actual=error.actual,
        ) from None
    block = LightBlock(
        header=header,
        round=round_,
        parts=block_id.parts,
        votes=smallest_prefix(votes, validators),
        validators=validators,
    )
    facts = verify_light([block], header.chain_id)
    if facts[0].hash != block_id.hash:
        raise UntrustedError(
            "finality.commit", "the commit is for another header", expected=facts[0].hash, actual=block_id.hash
        )
    return block


def _result(data: bytes) -> Any:
    """The result in an answer, or the answer itself when it is one already."""
    if len(data) > MAX_ANSWER_BYTES:
        raise InvalidInputError("json.size", "the answer is too long", expected=MAX_ANSWER_BYTES, actual=len(data))
    depth = 0
    for bracket in _BRACKETS.finditer(data):
        depth += 1 if bracket[0] in b"[{" else -1
        # The parser recurses on the machine's stack.
        if depth > _MAX_DEPTH:
            raise InvalidInputError("json.depth", "the answer is nested too deeply", expected=_MAX_DEPTH)
    try:
        value = json.loads(
            data, object_pairs_hook=_once, parse_float=_no_number, parse_constant=_no_number, parse_int=_plain_number
        )
    except ValueError:
        raise InvalidInputError("json.syntax", "it is not JSON, or has a name twice or a fraction") from None
    if isinstance(value, dict) and "jsonrpc" in value:
        answer = fields(value, frozenset({"id", "jsonrpc", "result"}))
        return answer["result"]
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name stands twice")
    return value


def _no_number(word: str) -> Any:
    raise ValueError(word)


def _plain_number(word: str) -> int:
    if len(word) > 20:
        raise ValueError(word)
    return int(word)


def _header(value: Any) -> LightHeader:
    header = fields(value, _HEADER)
    version = fields(header["version"], frozenset({"block"}), frozenset({"app"}))
    height = _number(header["height"])
    return LightHeader(
        block_version=_number(version["block"]),
        app_version=_number(version.get("app", "0")),
        chain_id=text(header["chain_id"]),
        height=height,
        time_ns=_time(header["time"]),
        # Height 1 has none: CometBFT writes it with empty hashes.
        last_block_id=None if height == 1 else _block_id(header["last_block_id"]),
        last_commit_hash=_bytes(header["last_commit_hash"], 32),
        data_hash=_bytes(header["data_hash"], 32),
        validators_hash=_bytes(header["validators_hash"], 32),
        next_validators_hash=_bytes(header["next_validators_hash"], 32),
        consensus_hash=_bytes(header["consensus_hash"], 32),
        app_hash=_bytes(header["app_hash"]),
        last_results_hash=_bytes(header["last_results_hash"], 32),
        evidence_hash=_bytes(header["evidence_hash"], 32),
        proposer=_bytes(header["proposer_address"], 20),
    )


def _block_id(value: Any) -> BlockId:
    item = fields(value, frozenset({"hash", "parts"}))
    parts = fields(item["parts"], frozenset({"hash", "total"}))
    return BlockId(
        hash=_bytes(item["hash"], 32), parts=Parts(total=_small(parts["total"]), hash=_bytes(parts["hash"], 32))
    )


def _validators(data: bytes, height: int) -> tuple[tuple[LightValidator, ...], list[bytes]]:
    """The set of a height in CometBFT's order, and the addresses in that order."""
    answer = fields(_result(data), frozenset({"block_height", "count", "total", "validators"}))
    listed = array(answer["validators"], MAX_VALIDATORS)
    _same("height of the validators", height, _number(answer["block_height"]))
    _same("number of validators on one page", _number(answer["total"]), len(listed))
    _same("number of validators", _number(answer["count"]), len(listed))
    validators, addresses = [], []
    for entry in listed:
        item = fields(entry, frozenset({"address", "proposer_priority", "pub_key", "voting_power"}))
        key = fields(item["pub_key"], frozenset({"type", "value"}))
        _same("type of a validator's key", _KEY_TYPE, text(key["type"]))
        if not _SIGNED.match(text(item["proposer_priority"])):
            raise InvalidInputError("json.fields", "a proposer priority is a number in text")
        material, power = unb64(text(key["value"]), 32), _number(item["voting_power"])
        if not 1 <= power <= MAX_POWER:
            raise InvalidInputError("json.fields", "a voting power is out of bounds", expected=MAX_POWER, actual=power)
        addresses.append(hashlib.sha256(material).digest()[:20])
        _same("address of a validator", addresses[-1], _bytes(item["address"], 20))
        validators.append(LightValidator(key=material, power=power))
    return tuple(validators), addresses


def _vote(value: Any, address: bytes) -> Vote | None:
    """The vote of the validator with this address, None when it voted for nil or not at all."""
    item = fields(value, frozenset({"block_id_flag", "signature", "timestamp", "validator_address"}))
    kind = _small(item["block_id_flag"])
    if kind == _ABSENT:
        return None
    if kind not in (_COMMIT, _NIL):
        raise InvalidInputError("json.fields", "a vote is absent, for the block or for nil", actual=kind)
    _same("validator of a vote", address, _bytes(item["validator_address"], 20))
    vote = Vote(time_ns=_time(item["timestamp"]), signature=unb64(text(item["signature"]), 64))
    return vote if kind == _COMMIT else None


def _number(value: Any) -> int:
    """A whole number: CometBFT writes most of them as text."""
    if not _NUMBER.match(text(value)) or int(value) >= 1 << 53:
        raise InvalidInputError("json.fields", "a number below 2^53 in text is expected", actual=text(value)[:40])
    return int(value)


def _small(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 1 << 31:
        raise InvalidInputError("json.fields", "a number below 2^31 is expected", actual=str(value)[:40])
    return value


def _bytes(value: Any, length: int | None = None) -> bytes:
    """Bytes in upper-case hex."""
    if not _HEX.match(text(value)) or len(value) > 128:
        raise InvalidInputError("json.fields", "upper-case hex digits are expected", actual=value[:80])
    data = bytes.fromhex(value)
    if length is not None and len(data) != length:
        raise InvalidInputError("json.fields", f"{length} bytes are expected", expected=length, actual=len(data))
    return data


def _time(value: Any) -> int:
    """Unix nanoseconds of a time as Go writes it, with no zeros at the end of the fraction."""
    match = _TIME.match(text(value))
    if match is None or (match[2] or "1").endswith("0"):
        raise InvalidInputError("time.format", "a time like 2026-11-22T03:41:45.684Z is expected", actual=value[:40])
    return parse_nanos(f"{match[1]}.{(match[2] or '').ljust(9, '0')}Z")


def _same(what: str, expected: object, actual: object) -> None:
    if expected != actual:
        raise InvalidInputError("json.fields", f"the {what} is another one", expected=expected, actual=actual)
