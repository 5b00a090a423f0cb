"""Finality of a block of a QBFT network: its sealed header, and the sealed headers at which the validator set changed.

A verifier starts from a pinned block and its validators. Where the set is another by now, the hand-over leads to it:
each of its headers names the next set and is sealed by a quorum of that set and by a quorum of the one trusted before.
Where a contract keeps the validators, each is sealed by the set trusted before and comes with a proof of the next one.
Nothing in a finality is ignored: seals stand in ascending order of their validators, exactly as many as are needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, replace
from typing import Any, Final

from ledger import codec
from ledger.codec import b64, unb64
from ledger.errors import InvalidInputError, LedgerError, UntrustedError
from ledger.evidence.fields import array, fields, hex_of, text, unhex
from ledger.evidence.finality import Head
from ledger.evidence.qbft import (
    QbftHeader,
    check_set,
    decode_header,
    encode_header,
    quorum,
    sealers,
    verify_seals,
)
from ledger.evidence.qbftcontract import ContractSet, read_set, set_from_object, set_object
from ledger.evidence.seal import Seal

QBFT: Final = "qbft"
MAX_HANDOVER: Final = 32
MAX_BYTES: Final = 1_048_576
#: With fewer validators not one may be faulty: such a network vouches no better than one signer.
LEAST_FOR_BFT: Final = 4
_SEAL: Final = Seal()


@dataclass(frozen=True, slots=True, kw_only=True)
class QbftPin:
    """Where trust begins: a block of the network and the validators (20 bytes each, ascending) that seal the next.
    ``contract``: the address of the contract that keeps them, None where headers name them."""

    height: int
    hash: bytes
    validators: tuple[bytes, ...]
    contract: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QbftStep:
    """A block at which trust goes over to another set: the one its header names, or the one ``proven`` behind it."""

    header: QbftHeader
    proven: ContractSet | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QbftFinality:
    """A sealed header and the hand-over to its validators, ascending by height; not verified. ``chain``: the digest
    of the genesis file (32 bytes)."""

    chain: bytes
    header: QbftHeader
    handover: tuple[QbftStep, ...] = ()

    @property
    def head(self) -> Head:
        """The block that is final, with its own time: the validators agree on it before they seal."""
        header = self.header
        return Head(chain=self.chain, height=header.height, hash=header.hash, time_ms=1000 * header.time)


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


def make_qbft(chain: bytes, header: QbftHeader, handover: Sequence[QbftStep], pin: QbftPin) -> QbftFinality:
    """A finality from headers as a node serves them, with all their seals: the seals that are needed, in order.

    ``handover`` may hold more than is needed: steps that change nothing for this pin are left out.
    Raises: UntrustedError(qbft.* | state.*) when no finality comes of them.
    """
    trusted, kept = pin.validators, []
    for step in handover:
        following = _following(step, pin)
        if not pin.height < step.header.height <= header.height or following in ((), trusted):
            continue
        kept.append(replace(step, header=_pick(step.header, _sealing(step, pin, trusted), trusted)))
        trusted = following
    made = QbftFinality(chain=chain, header=_pick(header, trusted, trusted), handover=tuple(kept))
    verify_qbft(made, pin, chain)
    return made


def hands_over(step: QbftStep, trusted: tuple[bytes, ...], pin: QbftPin) -> bool:
    """Whether a step, its header with all seals, leads from the trusted set to another."""
    try:
        picked = _pick(step.header, _sealing(step, pin, trusted), trusted)
        return bool(_hand_over(replace(step, header=picked), trusted, pin))
    except UntrustedError:
        return False


def verify_qbft(finality: QbftFinality, pin: QbftPin, chain: bytes) -> SealedHead:
    """Check the hand-over from the pin and the seals of the block.

    A block older than the pinned one is judged by the pinned validators. Raises: UntrustedError(qbft.* | state.*).
    """
    if finality.chain != chain:
        raise UntrustedError("qbft.chain", "the block is of another chain", expected=chain, actual=finality.chain)
    check_set(pin.validators)
    trusted, height = pin.validators, pin.height
    for step in finality.handover:
        if step.header.height <= height:
            raise UntrustedError(
                "qbft.handover", "blocks of the hand-over ascend from the pinned one", expected=height + 1,
                actual=step.header.height,
            )  # fmt: skip
        trusted, height = _hand_over(step, trusted, pin), step.header.height
    header = finality.header
    _check_reach(header, finality.handover)
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
        "handover": [_step_object(step) for step in finality.handover],
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
        handover = [_raw_step(item) for item in array(finality["handover"], MAX_HANDOVER)]
        header = unb64(text(finality["header"]))
    except LedgerError as error:
        raise InvalidInputError(
            "qbft.format", f"no finality of a QBFT network: {error.message}", hint="take the file again from the node"
        ) from None
    return QbftFinality(
        chain=chain,
        header=decode_header(header),
        handover=tuple(QbftStep(header=decode_header(raw), proven=proven) for raw, proven in handover),
    )


def _step_object(step: QbftStep) -> Any:
    header = b64(encode_header(step.header))
    return header if step.proven is None else {"header": header, "set": set_object(step.proven)}


def _raw_step(value: Any) -> tuple[bytes, ContractSet | None]:
    if isinstance(value, str):
        return unb64(value), None
    step = fields(value, frozenset({"header", "set"}))
    return unb64(text(step["header"])), set_from_object(step["set"])


def _following(step: QbftStep, pin: QbftPin) -> tuple[bytes, ...]:
    """The set a step leads to; empty where it names and proves none."""
    if pin.contract is None:
        return step.header.extra.validators
    return () if step.proven is None else read_set(step.proven, step.header.state_root, pin.contract)


def _sealing(step: QbftStep, pin: QbftPin, trusted: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The set whose quorum seals a step's header."""
    return step.header.extra.validators if pin.contract is None else trusted


def _hand_over(step: QbftStep, trusted: tuple[bytes, ...], pin: QbftPin) -> tuple[bytes, ...]:
    """The set a step leads to, its header sealed by a quorum of that set's kind and of the set trusted so far."""
    header, following = step.header, _following(step, pin)
    if not following or following == trusted or (step.proven is None) != (pin.contract is None):
        raise UntrustedError(
            "qbft.handover",
            f"block {header.height} of the hand-over does not change the validators",
            hint="where a contract keeps the validators, the policy names it and each step proves them",
        )
    sealing = _sealing(step, pin, trusted)
    found = verify_seals(header, sealing)
    old = [sealer for sealer in found if sealer in set(trusted)]
    needed = quorum(len(trusted))
    if len(old) < needed:
        raise UntrustedError(
            "qbft.handover",
            f"{len(old)} of the {len(trusted)} validators before sealed block {header.height}; {needed} are needed",
            hint="take a later block of the same set that more of them sealed",
            expected=needed,
            actual=len(old),
        )
    _check_exact(header, found, max(needed, quorum(len(sealing))))
    return following


def _check_reach(header: QbftHeader, handover: tuple[QbftStep, ...]) -> None:
    """The block lies behind the hand-over, or is the very one at which the set its header names changed."""
    if not handover:
        return
    last = handover[-1]
    if header.height > last.header.height:
        return
    if header.height < last.header.height or last.proven is not None or header.hash != last.header.hash:
        raise UntrustedError(
            "qbft.handover",
            "the hand-over leads beyond the block",
            expected=last.header.height,
            actual=header.height,
        )


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
