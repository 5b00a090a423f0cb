"""Finality of the cometbft engine: the signed header that follows a chain block, and how its validators came to be.

A chain block that was made at consensus height H is final when the header of H+1 carries its hash as ``app_hash`` and
more than two thirds of the validators of H+1 signed that header. Empty heights after H+1 carry the same hash, but only
H+1 is taken, so that one block has one proof. A change of the validators shows in the very header that follows the
block which made it: those light blocks are the hand-over.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass, replace
from typing import Any, Final

from ledger import codec
from ledger.errors import InvalidInputError, LedgerError, UntrustedError
from ledger.evidence.fields import array, fields, hex_of, integer, text, unhex
from ledger.evidence.finality import Head
from ledger.evidence.light import LightBlock, LightFacts, light_object, read_light, verify_light
from ledger.evidence.lightrpc import light_block
from ledger.evidence.seal import Seal
from ledger.identifiers import consensus_chain_id

__all__ = (
    "BFT", "BftFinality", "BftHead", "LightBlock", "bft_object", "check_bft", "decode_bft", "encode_bft", "inherit",
    "light_block", "make_bft", "read_bft", "verify_bft",
)  # fmt: skip

BFT: Final = "cometbft"
#: Light blocks of a hand-over; the native light client has the same bound.
MAX_HANDOVER: Final = 32
#: A hand-over longer than this leaves no room in a bundle; the maker drops the oldest light blocks.
MAX_HANDOVER_BYTES: Final = 262_144
MAX_FINALITY_BYTES: Final = 1_048_576
_SEAL: Final = Seal()


@dataclass(frozen=True, slots=True, kw_only=True)
class BftFinality:
    """A finality proof, not verified. ``chain``: genesis digest; ``height``: of the chain block; ``light``: the light
    block of the next consensus height; ``handover``: light blocks that each hand over to another set, oldest first."""

    chain: bytes
    height: int
    light: LightBlock
    handover: tuple[LightBlock, ...] = ()

    @property
    def head(self) -> Head:
        """The chain block that is final: its hash, and the signed time of the header that says so."""
        return Head(chain=self.chain, height=self.height, hash=self.light.app_hash, time_ms=self.light.time_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class BftHead:
    """A head whose finality verified; made by :func:`verify_bft` only. ``consensus_height``: of the signed header;
    ``signed`` of ``total``: the voting power that signed it; ``changes``: of the validators since the pin."""

    head: Head
    consensus_height: int
    signed: int
    total: int
    changes: int
    seal: InitVar[object]
    kind: str = "bft"

    def __post_init__(self, seal: object) -> None:
        _SEAL.check(seal)


def make_bft(*, chain: bytes, height: int, light: LightBlock, previous: BftFinality | None) -> BftFinality:
    """The finality of the chain block at ``height``, proven by the light block of the next consensus height.

    ``previous``: the finality of the chain block before, None for the first one known. Its hand-over is continued; one
    that does not lead to these validators is left out, and only younger policies accept the proof.
    Raises: InvalidInputError(finality.*), UntrustedError(finality.*).
    """
    handover = _continued(chain, light, previous)
    finality = BftFinality(chain=chain, height=height, light=light, handover=handover)
    # What handed over before was verified when it was made.
    _verify(replace(finality, handover=handover[-1:]), chain, None)
    return finality


def check_bft(finality: BftFinality, chain: bytes) -> Head:
    """Verify a finality in itself, trusting the validators it names: what a node does with one it made or stores.

    Raises: InvalidInputError(finality.*), UntrustedError(finality.*).
    """
    _verify(finality, chain, None)
    return finality.head


def verify_bft(finality: BftFinality, chain: bytes, pin: tuple[int, bytes, bytes]) -> BftHead:
    """Verify a finality from a pinned (consensus height, header hash, validators hash) on. Whether the pin is still
    believed is the caller's matter.

    Raises: InvalidInputError(finality.*), UntrustedError(finality.*).
    """
    last = _verify(finality, chain, pin)[-1]
    return BftHead(
        head=finality.head,
        consensus_height=finality.light.height,
        signed=last.signed,
        total=last.total,
        changes=sum(block.height >= pin[0] for block in finality.handover),
        seal=_SEAL,
    )


def inherit(finality: BftFinality, other: BftFinality) -> BftFinality:
    """A node's first finality with the hand-over of another node's, for one that joined late and did not see it.

    All of it is vouched for, backwards, by the validators of ``finality``, which the node knows to be the chain's.
    Raises: InvalidInputError(finality.*), UntrustedError(finality.*).
    """
    light = finality.light
    longer = make_bft(chain=finality.chain, height=finality.height, light=light, previous=other)
    known = verify_light([light], light.chain_id)[0].hash
    verify_bft(longer, finality.chain, (light.height, known, light.validators_hash))
    return longer


def bft_object(finality: BftFinality) -> dict[str, Any]:
    """A finality as JSON."""
    return {
        "chain": hex_of(finality.chain),
        "engine": BFT,
        "handover": [light_object(block) for block in finality.handover],
        "height": finality.height,
        "light": light_object(finality.light),
    }


def read_bft(value: Any) -> BftFinality:
    """The inverse of :func:`bft_object`; nothing is verified. Raises: InvalidInputError(json.* | finality.engine)."""
    finality = fields(value, frozenset({"chain", "engine", "handover", "height", "light"}))
    if text(finality["engine"]) != BFT:
        raise InvalidInputError("finality.engine", "not a finality of this engine", expected=BFT)
    return BftFinality(
        chain=unhex(finality["chain"]),
        height=integer(finality["height"]),
        light=read_light(finality["light"]),
        handover=tuple(read_light(block) for block in array(finality["handover"], MAX_HANDOVER)),
    )


def encode_bft(finality: BftFinality) -> bytes:
    """The canonical bytes of a finality, as a node stores and sends them."""
    return codec.encode(bft_object(finality))


def decode_bft(data: bytes) -> BftFinality:
    """The inverse of :func:`encode_bft`. Raises: InvalidInputError(finality.format)."""
    try:
        return read_bft(codec.decode(data, max_bytes=MAX_FINALITY_BYTES))
    except LedgerError as error:
        raise InvalidInputError(
            "finality.format",
            f"not a finality: {error.message} ({error.code})",
            expected=error.expected,
            actual=error.actual,
        ) from None


def _verify(finality: BftFinality, chain: bytes, pin: tuple[int, bytes, bytes] | None) -> tuple[LightFacts, ...]:
    if finality.chain != chain:
        raise UntrustedError(
            "finality.chain", "the finality is of another chain", expected=chain, actual=finality.chain
        )
    if len(finality.light.app_hash) != 32:
        raise UntrustedError(
            "finality.header",
            "the signed header carries no block hash",
            expected=32,
            actual=len(finality.light.app_hash),
        )
    return verify_light((*finality.handover, finality.light), consensus_chain_id(chain), pin)


def _continued(chain: bytes, light: LightBlock, previous: BftFinality | None) -> tuple[LightBlock, ...]:
    """The hand-over of ``previous`` as it leads to ``light``."""
    if previous is None or previous.chain != chain:
        return ()
    if previous.light.height < light.height and previous.light.changes_set:
        return _linked((*previous.handover, previous.light), light)
    if previous.light.height < light.height and previous.light.validators_hash == light.validators_hash:
        return previous.handover
    return _linked(tuple(block for block in previous.handover if block.height < light.height), light)


def _linked(handover: tuple[LightBlock, ...], light: LightBlock) -> tuple[LightBlock, ...]:
    """The youngest light blocks that lead to ``light`` without a gap, so that a verifier may start at each of them."""
    kept: list[LightBlock] = []
    size, later = 0, light
    for block in reversed(handover):
        size += len(block.encode())
        leads = block.next_validators_hash == later.validators_hash and block.height < later.height
        if not leads or size > MAX_HANDOVER_BYTES or len(kept) == MAX_HANDOVER or not _overlaps(block, later):
            break
        kept.insert(0, block)
        later = block
    return tuple(kept)


def _overlaps(block: LightBlock, later: LightBlock) -> bool:
    """Whether more than a third of the later set signed the earlier block: what a younger pin needs to vouch for it."""
    signers = {item.key for vote, item in zip(block.votes, block.validators, strict=False) if vote is not None}
    power = sum(item.power for item in later.validators if item.key in signers)
    return 3 * power > sum(item.power for item in later.validators)
