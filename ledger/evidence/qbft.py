"""Block headers of QBFT networks (Besu, GoQuorum): strict decoding, the two hashes, the seals of the validators.

A header's ``extraData`` is RLP [vanity, validators, vote, round, seals]. The validators seal
``keccak256(RLP(header without seals))``; the block hash is that of the header without seals and with round 0. So the
hash of the bytes as served is neither. What makes such a block final for somebody else is in ``qbftfinality``.
Sources: besu-eth/besu, consensus/qbft (QbftExtraDataCodec, BftBlockHashing, BftCommitSealsValidationRule,
BftValidatorsValidationRule).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import rlp

from ledger import _native
from ledger.codec import keccak256
from ledger.errors import LedgerError, UntrustedError

MAX_VALIDATORS: Final = 256
MAX_HEADER_BYTES: Final = 32_768
SEAL_BYTES: Final = 65
#: What every QBFT header has in ``mixHash``.
MIX_HASH: Final = bytes.fromhex("63746963616c2062797a616e74696e65206661756c7420746f6c6572616e6365")
NO_OMMERS: Final = keccak256(b"\xc0")

#: Lengths of the fields in RLP order; None is a number of at most 32 bytes, -8 one of at most 8 bytes. London ends
#: behind the base fee, Shanghai behind the withdrawals root, Cancun behind the parent beacon root, Prague at the end.
_FIELDS: Final[tuple[int | None, ...]] = (
    *(32, 32, 20, 32, 32, 32, 256, None, -8, -8, -8, -8, 0, 32, 8),
    *(None, 32, -8, -8, 32, 32),
)  # fmt: skip
_COUNTS: Final = frozenset({15, 16, 17, 20, 21})
#: Places of the fields that are used.
STATE, NUMBER, TIME = 3, 8, 11
_PARENT, _OMMERS, _COINBASE, _DIFFICULTY, _EXTRA, _MIX = 0, 1, 2, 7, 12, 13
_VANITY: Final = frozenset({0, 32})
_ADD: Final = b"\xff"


@dataclass(frozen=True, slots=True, kw_only=True)
class QbftVote:
    """A validator's wish to ``add`` (else drop) ``recipient`` (20 bytes)."""

    recipient: bytes
    add: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class QbftExtra:
    """The content of ``extraData``. ``vanity``: 32 free bytes (GoQuorum: may be empty); ``validators``: 20 bytes each,
    none where a contract keeps them; ``seals``: 65 bytes r || s || v each."""

    vanity: bytes
    validators: tuple[bytes, ...]
    vote: QbftVote | None
    round: int
    seals: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QbftHeader:
    """A decoded header, nothing verified. ``fields``: those of the RLP list, ``extraData`` left empty."""

    fields: tuple[bytes, ...]
    extra: QbftExtra

    @property
    def parent(self) -> bytes:
        """Hash of the block before."""
        return self.fields[_PARENT]

    @property
    def proposer(self) -> bytes:
        """The 20-byte address of the validator that made the block (``coinbase``)."""
        return self.fields[_COINBASE]

    @property
    def state_root(self) -> bytes:
        """Root of the state behind the block."""
        return self.fields[STATE]

    @property
    def height(self) -> int:
        """Number of the block."""
        return int.from_bytes(self.fields[NUMBER], "big")

    @property
    def time(self) -> int:
        """Unix seconds."""
        return int.from_bytes(self.fields[TIME], "big")

    @property
    def hashed(self) -> bytes:
        """The RLP that the block hash is the hash of: without seals, round 0."""
        return encode_header(replace(self, extra=replace(self.extra, round=0, seals=())))

    @property
    def hash(self) -> bytes:
        """The block hash."""
        return keccak256(self.hashed)

    @property
    def seal_digest(self) -> bytes:
        """What the validators sign: without seals, the round kept."""
        return keccak256(encode_header(self.with_seals(())))

    def with_seals(self, seals: Iterable[bytes]) -> QbftHeader:
        """The same header with other seals."""
        return replace(self, extra=replace(self.extra, seals=tuple(seals)))


def quorum(validators: int) -> int:
    """How many of so many validators must seal a block: two thirds, rounded up, as the networks count."""
    return -(-2 * validators // 3)


def decode_extra(data: bytes) -> QbftExtra:
    """Strict decode of ``extraData``. Raises: UntrustedError(qbft.extra)."""
    parts = _list(_decode(data, "qbft.extra"), "qbft.extra", 5, 5)
    return QbftExtra(
        vanity=_bytes(parts[0], "qbft.extra", _VANITY),
        validators=tuple(_bytes(item, "qbft.extra", {20}) for item in _list(parts[1], "qbft.extra", 0, MAX_VALIDATORS)),
        vote=_vote(_list(parts[2], "qbft.extra", 0, 2)),
        round=_number(parts[3], "qbft.extra", 4),
        seals=tuple(
            _bytes(item, "qbft.extra", {SEAL_BYTES}) for item in _list(parts[4], "qbft.extra", 0, MAX_VALIDATORS)
        ),
    )


def encode_extra(extra: QbftExtra) -> bytes:
    """The inverse of :func:`decode_extra`."""
    vote = [] if extra.vote is None else [extra.vote.recipient, _ADD if extra.vote.add else b""]
    return bytes(rlp.encode([extra.vanity, list(extra.validators), vote, extra.round, list(extra.seals)]))


def read_fields(data: bytes) -> tuple[bytes, ...]:
    """The fields of a header of Berlin, London, Shanghai, Cancun or Prague, lengths checked, ``extraData`` as it is.

    Raises: UntrustedError(qbft.header).
    """
    if len(data) > MAX_HEADER_BYTES:
        raise _unreadable("qbft.header", f"a header has at most {MAX_HEADER_BYTES} bytes", actual=len(data))
    items = _list(_decode(data, "qbft.header"), "qbft.header", min(_COUNTS), max(_COUNTS))
    if len(items) not in _COUNTS:
        raise _unreadable("qbft.header", "no fork's header has so many fields", actual=len(items))
    fields = []
    for place, (item, length) in enumerate(zip(items, _FIELDS, strict=False)):
        if place == _EXTRA:
            if not isinstance(item, bytes):
                raise _unreadable("qbft.header", "extraData is a list")
            fields.append(item)
        elif length is None or length < 0:
            _number(item, "qbft.header", 32 if length is None else -length)
            fields.append(item)
        else:
            fields.append(_bytes(item, "qbft.header", {length}))
    return tuple(fields)


def decode_header(data: bytes) -> QbftHeader:
    """Strict decode of a QBFT header. Raises: UntrustedError(qbft.header | qbft.extra)."""
    fields = list(read_fields(data))
    extra, fields[_EXTRA] = fields[_EXTRA], b""
    return QbftHeader(fields=tuple(fields), extra=decode_extra(extra))


def encode_header(header: QbftHeader) -> bytes:
    """The inverse of :func:`decode_header`."""
    fields = list(header.fields)
    fields[_EXTRA] = encode_extra(header.extra)
    return bytes(rlp.encode(fields))


def sealers(header: QbftHeader) -> tuple[bytes, ...]:
    """Who made the seals (20 bytes each), in their order. Raises: UntrustedError(qbft.seal)."""
    digest, found = header.seal_digest, []
    for seal in header.extra.seals:
        try:
            found.append(_native.secp256k1_recover(digest, seal))
        except LedgerError as error:
            raise UntrustedError(
                "qbft.seal", f"a seal of block {header.height} is no signature: {error.message}", actual=seal
            ) from None
    return tuple(found)


def verify_seals(header: QbftHeader, validators: Sequence[bytes]) -> tuple[bytes, ...]:
    """Check that a quorum of exactly these validators (ascending) sealed the block; the sealers in their order.

    The header must be of QBFT, name the same validators or (a contract keeps them) none, and be proposed by one of
    them; every seal must be of another validator. Raises: UntrustedError(qbft.*).
    """
    _check_fixed(header)
    check_set(validators)
    if header.extra.validators and header.extra.validators != tuple(validators):
        raise UntrustedError(
            "qbft.validators",
            f"block {header.height} names other validators than those that are trusted",
            hint="the set changed: the blocks at which it did must come along, or the policy be renewed",
            expected=_names(validators),
            actual=_names(header.extra.validators),
        )
    if not header.extra.validators and header.extra.vote is not None:
        raise UntrustedError("qbft.validators", "a block that names no validators carries a vote about them")
    known = set(validators)
    if header.proposer not in known:
        raise UntrustedError(
            "qbft.proposer", f"block {header.height} is proposed by no validator", actual=header.proposer
        )
    found = sealers(header)
    strangers = [sealer for sealer in found if sealer not in known]
    if strangers:
        raise UntrustedError("qbft.seal", f"a seal of block {header.height} is by no validator", actual=strangers[0])
    if len(set(found)) != len(found):
        raise UntrustedError("qbft.seal", f"a validator sealed block {header.height} twice")
    needed = quorum(len(validators))
    if len(found) < needed:
        raise UntrustedError(
            "qbft.quorum",
            f"{len(found)} of {len(validators)} validators sealed block {header.height}; {needed} are needed",
            expected=needed,
            actual=len(found),
        )
    return found


def check_set(validators: Sequence[bytes]) -> None:
    """A set of validators is ascending addresses, each once, at least one. Raises: UntrustedError(qbft.validators)."""
    if not 1 <= len(validators) <= MAX_VALIDATORS or any(len(item) != 20 for item in validators):
        raise UntrustedError("qbft.validators", f"a set has 1 to {MAX_VALIDATORS} validators of 20 bytes")
    if any(left >= right for left, right in pairwise(validators)):
        raise UntrustedError("qbft.validators", "validators stand in ascending order, each once")


def _check_fixed(header: QbftHeader) -> None:
    fixed = (
        ("the mixHash", MIX_HASH, header.fields[_MIX]),
        ("the hash of the ommers", NO_OMMERS, header.fields[_OMMERS]),
        ("the difficulty", b"\x01", header.fields[_DIFFICULTY]),
    )
    for what, expected, actual in fixed:
        if expected != actual:
            raise UntrustedError("qbft.header", f"{what} is not that of a QBFT block", expected=expected, actual=actual)


def _vote(parts: list[Any]) -> QbftVote | None:
    if not parts:
        return None
    if len(parts) != 2 or parts[1] not in (_ADD, b""):
        raise _unreadable("qbft.extra", "a vote is a validator and 0xff (add) or nothing (drop)")
    return QbftVote(recipient=_bytes(parts[0], "qbft.extra", {20}), add=parts[1] == _ADD)


def _decode(data: bytes, code: str) -> Any:
    """The RLP item in the bytes, in its one encoding."""
    try:
        item = rlp.decode(data)
        # The decoder lets some second encodings pass; a hash over our encoding must be one over these bytes.
        if rlp.encode(item) == data:
            return item
    except (rlp.DecodingError, RecursionError) as error:
        raise _unreadable(code, f"not RLP: {error}") from None
    raise _unreadable(code, "not the one RLP encoding of what it says")


def _list(item: Any, code: str, least: int, most: int) -> list[Any]:
    if isinstance(item, bytes) or not least <= len(item) <= most:
        raise _unreadable(code, f"a list of {least} to {most} items is expected")
    return list(item)


def _bytes(item: Any, code: str, lengths: Iterable[int]) -> bytes:
    if not isinstance(item, bytes) or len(item) not in lengths:
        raise _unreadable(code, f"{' or '.join(map(str, sorted(lengths)))} bytes are expected")
    return item


def _number(item: Any, code: str, most: int) -> int:
    if not isinstance(item, bytes) or len(item) > most or item[:1] == b"\0":
        raise _unreadable(code, f"a number of at most {most} bytes without leading zeros is expected")
    return int.from_bytes(item, "big")


def _names(validators: Iterable[bytes]) -> str:
    return ", ".join("0x" + item.hex() for item in list(validators)[:8])


def _unreadable(code: str, message: str, *, actual: object = None) -> UntrustedError:
    return UntrustedError(code, message, hint="fetch the block again, from a node of that network", actual=actual)
