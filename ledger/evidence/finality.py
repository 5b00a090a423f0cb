"""Finality of the solo engine: the sequencer's signature over a head and the cosignatures of other members.

All sign the same bytes with their ``sequencer`` keys:
``"civicledger/head/v1\\n" || chain[32] || u64be height || hash[32] || u64be time`` (Unix milliseconds).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from typing import Final

from ledger import _native, keys
from ledger.errors import InvalidInputError, LedgerError, UntrustedError
from ledger.evidence.seal import Seal
from ledger.keys import Signer
from ledger.model import MAX_TIME_MS, KeyRole

SOLO: Final = "solo"
_DOMAIN: Final = b"civicledger/head/v1\n"
_SEAL: Final = Seal()


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A chain head: genesis digest, height, block hash (32 bytes), signed time in Unix milliseconds."""

    chain: bytes
    height: int
    hash: bytes
    time_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadSignature:
    """A signature over a head: Ed25519 public key (32 bytes) and signature (64 bytes)."""

    key: bytes
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedHead:
    """A head with one member's signature, not verified."""

    head: Head
    key: bytes
    signature: bytes

    @property
    def head_signature(self) -> HeadSignature:
        """Key and signature without the head."""
        return HeadSignature(key=self.key, signature=self.signature)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoloFinality:
    """A head, the sequencer's signature, and cosignatures in ascending order of their keys; not verified."""

    head: Head
    sequencer: HeadSignature
    cosignatures: tuple[HeadSignature, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Validator:
    """A trusted ``sequencer`` key (32 bytes) of a member; ``sequencer`` says whether it orders blocks."""

    key: bytes
    member: str
    sequencer: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalHead:
    """A head whose finality verified; made by :func:`verify_solo` only. ``kind`` is ``single-signer``."""

    head: Head
    sequencer: Validator
    cosigners: tuple[Validator, ...]
    kind: str
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        _SEAL.check(seal)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderFields:
    """What a verifier needs of a block header. ``time``: Unix seconds."""

    hash: bytes
    state_root: bytes
    height: int
    time: int
    consensus_height: int


def head_bytes(chain: bytes, height: int, hash_: bytes, time_ms: int) -> bytes:
    """The bytes that are signed. Raises: InvalidInputError(finality.head)."""
    if len(chain) != 32 or len(hash_) != 32 or not 0 <= height < 2**64 or not 0 <= time_ms <= MAX_TIME_MS:
        raise InvalidInputError("finality.head", "a head is {chain: 32 bytes, height, hash: 32 bytes, time}")
    return _DOMAIN + chain + height.to_bytes(8, "big") + hash_ + time_ms.to_bytes(8, "big")


def sign_head(signer: Signer, head: Head) -> SignedHead:
    """Sign a head, as the sequencer or as a cosigning member. Raises: InvalidInputError(key.role)."""
    if signer.role != KeyRole.SEQUENCER:
        raise InvalidInputError(
            "key.role", "a sequencer key signs heads", expected=KeyRole.SEQUENCER.word, actual=signer.role.word
        )
    message = head_bytes(head.chain, head.height, head.hash, head.time_ms)
    return SignedHead(head=head, key=signer.public, signature=signer.sign(message))


def verify_head(signed: SignedHead) -> None:
    """Check one signature over a head by the key it names. Raises: UntrustedError(finality.signature)."""
    _verify(signed.head, signed.head_signature)


def make_solo(sequencer: SignedHead, cosignatures: Sequence[SignedHead], quorum: int) -> SoloFinality:
    """A finality with exactly ``quorum`` cosignatures (the smallest keys of those given), canonically ordered.

    Raises: InvalidInputError(finality.head) when one is over another head; UnavailableError is the caller's matter.
    """
    if any(item.head != sequencer.head for item in cosignatures):
        raise InvalidInputError("finality.head", "a cosignature is over another head")
    by_key = {item.key: item.head_signature for item in cosignatures if item.key != sequencer.key}
    chosen = tuple(by_key[key] for key in sorted(by_key)[:quorum])
    if len(chosen) < quorum:
        raise InvalidInputError(
            "finality.quorum", f"{len(chosen)} of {quorum} cosignatures", expected=quorum, actual=len(chosen)
        )
    return SoloFinality(head=sequencer.head, sequencer=sequencer.head_signature, cosignatures=chosen)


def verify_solo(
    finality: SoloFinality, validators: Sequence[Validator], quorum: int, *, exact: bool = False
) -> FinalHead:
    """Check that the sequencer signed the head and at least ``quorum`` other members cosigned it.

    Every signature present must be of a trusted key and verify. With ``exact`` (bundles) the number is exactly the
    quorum. Raises: UntrustedError(finality.*).
    """
    known = {validator.key: validator for validator in validators}
    sequencer = known.get(finality.sequencer.key)
    if sequencer is None or not sequencer.sequencer:
        raise UntrustedError(
            "finality.sequencer",
            "the head is not signed by the sequencer the policy pins",
            hint="the policy may be older than a hand-over of the sequencer: fetch a new one from a member you trust",
            actual=finality.sequencer.key,
        )
    _verify(finality.head, finality.sequencer)
    public_keys = [item.key for item in finality.cosignatures]
    if public_keys != sorted(set(public_keys)):
        raise UntrustedError("finality.order", "cosignatures are in ascending order of their keys, each once")
    cosigners = tuple(_cosigner(finality.head, item, known) for item in finality.cosignatures)
    members = {validator.member for validator in cosigners}
    if len(members) != len(cosigners) or sequencer.member in members:
        raise UntrustedError("finality.members", "cosignatures are of distinct members other than the sequencer's")
    if len(cosigners) < quorum or (exact and len(cosigners) != quorum):
        raise UntrustedError(
            "finality.quorum",
            f"{len(cosigners)} members cosigned the head; {quorum} are needed",
            expected=quorum,
            actual=len(cosigners),
        )
    return FinalHead(head=finality.head, sequencer=sequencer, cosigners=cosigners, kind="single-signer", seal=_SEAL)


def decode_header(header: bytes) -> HeaderFields:
    """Strict decode of a block header's RLP. Raises: UntrustedError(anchor.header)."""
    try:
        fields = _native.header_fields(header)
    except LedgerError as error:
        raise UntrustedError(
            "anchor.header",
            f"not a block header: {error.message} ({error.code})",
            expected=error.expected,
            actual=error.actual,
        ) from None
    block_hash, state_root = fields["hash"], fields["state_root"]
    height, time, consensus = fields["height"], fields["time"], fields["consensus_height"]
    if not (isinstance(block_hash, bytes) and isinstance(state_root, bytes)):
        raise TypeError("header_fields answers bytes")
    if not (isinstance(height, int) and isinstance(time, int) and isinstance(consensus, int)):
        raise TypeError("header_fields answers integers")
    return HeaderFields(hash=block_hash, state_root=state_root, height=height, time=time, consensus_height=consensus)


def _cosigner(head: Head, item: HeadSignature, known: dict[bytes, Validator]) -> Validator:
    validator = known.get(item.key)
    if validator is None:
        raise UntrustedError("finality.cosigner", "a cosignature is by a key the policy does not pin", actual=item.key)
    _verify(head, item)
    return validator


def _verify(head: Head, item: HeadSignature) -> None:
    try:
        message = head_bytes(head.chain, head.height, head.hash, head.time_ms)
        keys.verify(keys.ED25519, item.key, message, item.signature)
    except LedgerError as error:
        raise UntrustedError(
            "finality.signature", f"a signature over the head does not verify: {error.message}", actual=item.key
        ) from None
