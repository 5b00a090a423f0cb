"""Finality of the engine ``external``: the network's own. QBFT seals are verified; any other block is ``unproven``.

A policy names the validators of the network, or none. With none it says that its holder takes blocks nobody vouches
for; such a policy must pin every log and witness key, because a forged block could bear out any key.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import Any, Final

from ledger.codec import keccak256
from ledger.errors import InvalidInputError, LedgerError, UntrustedError
from ledger.evidence import qbft
from ledger.evidence.fields import array, fields, hex0x_of, hex_of, integer, text, unhex, unhex0x
from ledger.evidence.finality import Head, HeaderFields
from ledger.evidence.qbftfinality import QBFT, QbftFinality, QbftPin, qbft_from_object, qbft_object, verify_qbft
from ledger.evidence.seal import Seal
from ledger.model import format_time, parse_time

EXTERNAL: Final = "external"
UNPROVEN: Final = "unproven"
_SEAL: Final = Seal()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnprovenFinality:
    """A block of a network whose blocks carry no proof: who made the bundle says that it stands. The head's time is the
    block's own; nobody signed it."""

    head: Head


#: What a node of the engine ``external`` has of a block.
NetworkFinality = QbftFinality | UnprovenFinality


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkPin:
    """The block of the network a policy starts from: height, hash (32 bytes), when it was checked (Unix ms), and the
    validators that seal the next one (20 bytes each, ascending); none: its blocks prove nothing."""

    height: int
    hash: bytes
    checked_at_ms: int
    validators: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkHead:
    """A block judged by a policy; made by :func:`verify_network` only. ``kind``: ``bft``, ``single-signer`` (a set too
    small to bear a faulty validator) or ``unproven``; ``sealed`` of ``total`` validators sealed it."""

    head: Head
    sealed: int
    total: int
    kind: str
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        _SEAL.check(seal)


def decode_foreign(header: bytes) -> HeaderFields:
    """Strict decode of a header of any EVM network (Berlin to Prague), in the form that its block hash is the hash of.

    Raises: UntrustedError(anchor.header).
    """
    try:
        found = qbft.read_fields(header)
    except LedgerError as error:
        raise UntrustedError(
            "anchor.header", f"not a block header: {error.message}", expected=error.expected, actual=error.actual
        ) from None
    height = int.from_bytes(found[qbft.NUMBER], "big")
    return HeaderFields(
        hash=keccak256(header),
        state_root=found[qbft.STATE],
        height=height,
        time=int.from_bytes(found[qbft.TIME], "big"),
        consensus_height=height,
    )


def hashed_header(header: bytes, hash_: bytes) -> bytes:
    """A header as a node serves it, in the form that its block hash is the hash of: of a QBFT block without its seals.

    Raises: UntrustedError(anchor.header).
    """
    if keccak256(header) == hash_:
        return header
    try:
        hashed = qbft.decode_header(header).hashed
    except LedgerError as error:
        raise UntrustedError("anchor.header", f"the header has another hash: {error.message}", expected=hash_) from None
    if keccak256(hashed) != hash_:
        raise UntrustedError("anchor.header", "the header has another hash", expected=hash_, actual=keccak256(hashed))
    return hashed


def verify_network(finality: NetworkFinality, chain: bytes, pin: NetworkPin) -> NetworkHead:
    """Judge a block by the pin: its seals where the pin names validators; without them it stays ``unproven``.

    Raises: UntrustedError(finality.* | qbft.* | state.*).
    """
    head = finality.head
    if head.chain != chain:
        raise UntrustedError("finality.chain", "the block is of another chain", expected=chain, actual=head.chain)
    if isinstance(finality, QbftFinality) != bool(pin.validators):
        raise UntrustedError(
            "finality.unproven" if pin.validators else "finality.engine",
            "nobody's seals prove the block, and the policy asks for those of the network's validators"
            if pin.validators
            else "the block is sealed by validators, and the policy names none to judge them by",
            hint="is the policy of this city? take one from a member you trust",
            expected=QBFT if pin.validators else UNPROVEN,
            actual=QBFT if isinstance(finality, QbftFinality) else UNPROVEN,
        )
    if isinstance(finality, QbftFinality):
        start = QbftPin(height=pin.height, hash=pin.hash, validators=pin.validators)
        found = verify_qbft(finality, start, chain)
        return NetworkHead(
            head=head, sealed=len(found.sealers), total=len(found.validators), kind=found.kind, seal=_SEAL
        )
    if head.height == pin.height and head.hash != pin.hash:
        raise UntrustedError(
            "finality.pin", "another block stands at the pinned height", expected=pin.hash, actual=head.hash
        )
    return NetworkHead(head=head, sealed=0, total=0, kind=UNPROVEN, seal=_SEAL)


def network_object(finality: NetworkFinality) -> dict[str, Any]:
    """A finality as JSON."""
    if isinstance(finality, QbftFinality):
        return qbft_object(finality)
    head = finality.head
    return {
        "chain": hex_of(head.chain),
        "engine": UNPROVEN,
        "hash": hex_of(head.hash),
        "height": head.height,
        "time": format_time(head.time_ms),
    }


def read_network(value: Any) -> NetworkFinality:
    """The inverse of :func:`network_object`; nothing is verified. Raises: InvalidInputError(json.* | qbft.format |
    finality.engine), UntrustedError(qbft.*)."""
    if isinstance(value, dict) and value.get("engine") == QBFT:
        return qbft_from_object(value)
    finality = fields(value, frozenset({"chain", "engine", "hash", "height", "time"}))
    if text(finality["engine"]) != UNPROVEN:
        raise InvalidInputError("finality.engine", "not a finality of this engine", expected=UNPROVEN)
    return UnprovenFinality(
        head=Head(
            chain=unhex(finality["chain"]),
            height=integer(finality["height"]),
            hash=unhex(finality["hash"]),
            time_ms=parse_time(text(finality["time"])),
        )
    )


def network_pin_object(pin: NetworkPin) -> dict[str, Any]:
    """A pin as JSON."""
    return {
        "checkedAt": format_time(pin.checked_at_ms),
        "hash": hex0x_of(pin.hash),
        "height": pin.height,
        "validators": [hex0x_of(item, 20) for item in pin.validators],
    }


def read_network_pin(value: Any) -> NetworkPin:
    """The inverse of :func:`network_pin_object`. Raises: InvalidInputError(json.*), UntrustedError(qbft.validators)."""
    pin = fields(value, frozenset({"checkedAt", "hash", "height", "validators"}))
    validators = tuple(unhex0x(item, 20) for item in array(pin["validators"], qbft.MAX_VALIDATORS))
    if validators:
        qbft.check_set(validators)
    return NetworkPin(
        height=integer(pin["height"]),
        hash=unhex0x(pin["hash"]),
        checked_at_ms=parse_time(text(pin["checkedAt"])),
        validators=validators,
    )
