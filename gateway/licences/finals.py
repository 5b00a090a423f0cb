"""Whether the block that licences are judged under is final: by its own proof and the gateway's policy.

The home node's word is not taken for it. What cannot be verified (no policy, one that is too old, a proof that does not
come) is said with every verdict, and takes no answer away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from ledger.chain.blocks import ChainHead
from ledger.codec import decode, unb64
from ledger.errors import UnavailableError, UntrustedError
from ledger.evidence import state
from ledger.evidence.final import verify_finality
from ledger.evidence.network import UNPROVEN
from ledger.evidence.pieces import read_finality
from ledger.evidence.policy import decode_policy
from ledger.verifylinks import check_header, quorum_needed

MAX_POLICY: Final = 262_144
_MAX_FINALITY: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalBlock:
    """A block whose finality was verified. ``kind``: ``single-signer`` or ``bft``; ``time_ms``: the time its signers
    gave it last, Unix milliseconds."""

    head: ChainHead
    kind: str
    time_ms: int


class _Answer(msgspec.Struct, frozen=True):
    finality: str
    header: str


#: Proven values of slots: (contract, slots, block) -> values.
Slots = Callable[[ChainHead, bytes, Sequence[bytes]], Sequence[bytes]]


class Finals:
    """The newest final block of the home node's chain. Not thread-safe; ``clock``: Unix milliseconds."""

    def __init__(self, ask: Callable[[], bytes], policy: Path, clock: Callable[[], int]) -> None:
        """``ask``: the home node's answer at ``/v1/final``."""
        self._ask = ask
        self._policy = policy
        self._clock = clock
        self._known: tuple[bytes, bytes, FinalBlock] | None = None

    def newest(self, slots: Slots) -> FinalBlock:
        """The newest final block.

        Raises: LedgerError: why there is none: ``gateway.no-policy``, ``policy.expired``, ``finality.*``, ``node.*``.
        """
        policy, answer = self._read(), self._ask()
        if self._known is None or self._known[:2] != (policy, answer):
            self._known = policy, answer, _verified(policy, answer, slots)
        if self._clock() > decode_policy(policy).trusted_until_ms:
            raise UntrustedError("policy.expired", "the gateway's policy is too old to vouch for the validators")
        return self._known[2]

    def _read(self) -> bytes:
        try:
            with self._policy.open("rb") as file:
                return file.read(MAX_POLICY)
        except OSError as error:
            raise UnavailableError("gateway.no-policy", "this gateway has no trust policy") from error


def _verified(policy: bytes, answer: bytes, slots: Slots) -> FinalBlock:
    trust = decode_policy(policy)
    try:
        parts = msgspec.json.decode(answer, type=_Answer)
    except msgspec.MsgspecError as error:
        raise UntrustedError("finality.form", "the home node answers with something else than a final block") from error
    raw = unb64(parts.header)
    value: Any = decode(unb64(parts.finality), max_bytes=_MAX_FINALITY)
    finality = read_finality(value)
    header = check_header(raw, finality, trust)
    head = ChainHead(height=header.height, hash=header.hash, state_root=header.state_root, time=header.time, header=raw)
    (active,) = slots(head, trust.consortium, [state.active_count_slot()])
    final = verify_finality(finality, trust, quorum_needed(state.decode_count(active), trust))
    if final.kind == UNPROVEN:
        raise UntrustedError("finality.unproven", "the city's network proves nothing of its blocks")
    return FinalBlock(head=head, kind=final.kind, time_ms=final.head.time_ms)
