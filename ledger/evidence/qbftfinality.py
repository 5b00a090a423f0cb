"""Finality of a block of a QBFT network: its sealed header, and the sealed headers at which the validator set changed.

A verifier starts from a pinned block and its validators. Where the set is another by now, the hand-over leads to it:
each of its headers names the next set and is sealed by a quorum of that set and by a quorum of the one trusted before.
Nothing in a finality is ignored: seals stand in ascending order of their validators, exactly as many as are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from typing import Any, Final

from ledger import codec
from ledger.codec import b64, unb64
from ledger.errors import InvalidInputError, LedgerError, UntrustedError
from ledger.evidence.fields import array, fields, hex_of, text, unhex
from ledger.evidence.qbft import (
    QbftHeader,
    check_set,
    decode_header,
    encode_header,
    quorum,
    sealers,
    verify_seals,
)
from ledger.evidence.seal import Seal

QBFT: Final = "qbft"
MAX_HANDOVER: Final = 32
MAX_BYTES: Final = 1_048_576
#: With fewer validators not one may be faulty: such a network vouches no better than one signer.
LEAST_FOR_BFT: Final = 4
_SEAL: Final = Seal()


@dataclass(frozen=True, slots=True, kw_only=True)
class QbftPin:
    """Where trust begins: a block of the network and the validators (20 bytes each, ascending) that seal the next."""

    height: int
    hash: bytes
    validators: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QbftFinality:
    """A sealed header and the hand-over to its validators, ascending by height; not verified. ``chain``: the digest
    of the genesis file (32 bytes)."""

    chain: bytes
    header: QbftHeader
    handover: tuple[QbftHeader, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedHead:
    """A block whose finality verified; made by :func:`verify_qbft` only.

    ``time_ms``: the block's time in Unix milliseconds; ``sealers``: who sealed it of ``validators``; ``kind``: ``bft``,
    or ``single-signer`` where the set is too small to bear a faulty member.
    """

    height: int
    hash: bytes
    state_root: bytes
    time_ms: int
    sealers: tuple[bytes, ...]
    validators: tuple[bytes, ...]
    kind: str
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        _SEAL.check(seal)


def make_qbft(chain: bytes, header: bytes, handover: Sequence[bytes], pin: QbftPin) -> QbftFinality:
    """A finality from headers as a node serves them (RLP, all their seals): the seals that are needed, in order.

    ``handover`` may hold more than is needed: headers that change nothing for this pin are left out.
    Raises: UntrustedError(qbft.*) when no finality comes of them.
    """
    trusted, kept = pin.validators, []
    for raw in handover:
        step = decode_header(raw)
        if not pin.height < step.height <= decode_header(header).height or step.extra.validators in ((), trusted):
            continue
        kept.append(_pick(step, step.extra.validators, trusted))
        trusted = step.extra.validators
    made = QbftFinality(chain=chain, header=_pick(decode_header(header), trusted, trusted), handover=tuple(kept))
    verify_qbft(made, pin, chain)
    return made


def hands_over(header: QbftHeader, trusted: tuple[bytes, ...]) -> bool:
    """Whether a header as served (all its seals) is a step from the trusted set to the one it names."""
    following = header.extra.validators
    try:
        return bool(following) and bool(_hand_over(_pick(header, following, trusted), trusted))
    except UntrustedError:
        return False


def verify_qbft(finality: QbftFinality, pin: QbftPin, chain: bytes) -> SealedHead:
    """Check the hand-over from the pin and the seals of the block.

    A block older than the pinned one is judged by the pinned validators. Raises: UntrustedError(qbft.*).
    """
    if finality.chain != chain:
        raise UntrustedError("qbft.chain", "the block is of another chain", expected=chain, actual=finality.chain)
    check_set(pin.validators)
    trusted, height = pin.validators, pin.height
    for step in finality.handover:
        if step.height <= height:
            raise UntrustedError(
                "qbft.handover", "blocks of the hand-over ascend from the pinned one", expected=height + 1,
                actual=step.height,
            )  # fmt: skip
        trusted, height = _hand_over(step, trusted), step.height
    header = finality.header
    # The block may be the very one at which the set changed.
    last = finality.handover[-1] if finality.handover else None
    if last is not None and (header.height < height or (header.height == height and header.hash != last.hash)):
        raise UntrustedError(
            "qbft.handover", "the hand-over leads beyond the block", expected=height, actual=header.height
        )
    found = verify_seals(header, trusted)
    _check_exact(header, found, quorum(len(trusted)))
    if header.height == pin.height and header.hash != pin.hash:
        raise UntrustedError(
            "qbft.pin", "another block of the pinned height is sealed", expected=pin.hash, actual=header.hash
        )
    return SealedHead(
        height=header.height,
        hash=header.hash,
        state_root=header.state_root,
        time_ms=1000 * header.time,
        sealers=found,
        validators=trusted,
        kind="bft" if len(trusted) >= LEAST_FOR_BFT else "single-signer",
        seal=_SEAL,
    )


def encode_qbft(finality: QbftFinality) -> bytes:
    """Its canonical bytes: JCS. Raises: InvalidInputError(qbft.too-large)."""
    data = codec.encode(qbft_object(finality))
    if len(data) > MAX_BYTES:
        raise InvalidInputError("qbft.too-large", "a finality has at most 1 MiB", expected=MAX_BYTES, actual=len(data))
    return data


def decode_qbft(data: bytes) -> QbftFinality:
    """The inverse of :func:`encode_qbft`. Raises: InvalidInputError(qbft.format), UntrustedError(qbft.header |
    qbft.extra)."""
    try:
        value = codec.decode(data, max_bytes=MAX_BYTES)
    except LedgerError as error:
        raise InvalidInputError("qbft.format", f"no canonical JSON: {error.message}") from None
    return qbft_from_object(value)


def qbft_object(finality: QbftFinality) -> dict[str, Any]:
    """The finality as it stands in a JSON object."""
    return {
        "chain": hex_of(finality.chain),
        "engine": QBFT,
        "handover": [b64(encode_header(header)) for header in finality.handover],
        "header": b64(encode_header(finality.header)),
    }


def qbft_from_object(value: Any) -> QbftFinality:
    """The inverse of :func:`qbft_object`. Raises: InvalidInputError(qbft.format), UntrustedError(qbft.header |
    qbft.extra)."""
    try:
        finality = fields(value, frozenset({"chain", "engine", "handover", "header"}))
        if finality["engine"] != QBFT:
            raise InvalidInputError("json.fields", f"the engine is {QBFT}", actual=str(finality["engine"])[:40])
        chain = unhex(finality["chain"])
        handover = [unb64(text(item)) for item in array(finality["handover"], MAX_HANDOVER)]
        header = unb64(text(finality["header"]))
    except LedgerError as error:
        raise InvalidInputError(
            "qbft.format", f"no finality of a QBFT network: {error.message}", hint="take the file again from the node"
        ) from None
    return QbftFinality(
        chain=chain, header=decode_header(header), handover=tuple(decode_header(item) for item in handover)
    )


def _hand_over(step: QbftHeader, trusted: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The set a header hands over to, sealed by a quorum of it and of the set trusted so far."""
    following = step.extra.validators
    if not following or following == trusted:
        raise UntrustedError(
            "qbft.handover",
            f"block {step.height} of the hand-over does not change the validators",
            hint="a network that keeps its validators in a contract needs a policy with the new ones",
        )
    found = verify_seals(step, following)
    old = [sealer for sealer in found if sealer in set(trusted)]
    needed = quorum(len(trusted))
    if len(old) < needed:
        raise UntrustedError(
            "qbft.handover",
            f"{len(old)} of the {len(trusted)} validators before sealed block {step.height}; {needed} are needed",
            hint="take a later block of the same set that more of them sealed",
            expected=needed,
            actual=len(old),
        )
    _check_exact(step, found, max(needed, quorum(len(following))))
    return following


def _check_exact(header: QbftHeader, found: tuple[bytes, ...], needed: int) -> None:
    if list(found) != sorted(found):
        raise UntrustedError("qbft.order", "seals stand in ascending order of their validators")
    if len(found) != needed:
        raise UntrustedError(
            "qbft.exact",
            f"block {header.height} carries more seals than are needed",
            hint="a finality holds the smallest number of seals: take it again from the node",
            expected=needed,
            actual=len(found),
        )


def _pick(header: QbftHeader, validators: tuple[bytes, ...], trusted: tuple[bytes, ...]) -> QbftHeader:
    """The header with the seals that are needed: a quorum of the set trusted before, filled up to one of its own."""
    by_sealer = dict(zip(sealers(header), header.extra.seals, strict=True))
    needed = quorum(len(trusted))
    chosen = [sealer for sealer in sorted(by_sealer) if sealer in set(trusted) and sealer in set(validators)][:needed]
    others = (sealer for sealer in sorted(by_sealer) if sealer in set(validators) and sealer not in chosen)
    for sealer in others:
        if len(chosen) >= max(needed, quorum(len(validators))):
            break
        chosen.append(sealer)
    return header.with_seals(by_sealer[sealer] for sealer in sorted(chosen))
