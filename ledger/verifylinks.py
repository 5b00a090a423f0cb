"""Links of the evidence that every kind of bundle has: whose code names what broke, headers, and quorums."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from ledger.errors import LedgerError, UntrustedError
from ledger.evidence.bft import BftFinality
from ledger.evidence.checkpoint import quorum_of
from ledger.evidence.finality import HeaderFields, decode_header
from ledger.evidence.network import UnprovenFinality, decode_foreign
from ledger.evidence.pieces import Finality
from ledger.evidence.policy import TrustPolicy
from ledger.evidence.qbftfinality import QbftFinality

LINKS: Final = ("bundle", "record", "inclusion", "checkpoint", "anchor", "state", "finality", "policy", "licence")
_HINTS: Final = {
    "bundle": "the file was changed, cut or re-formatted: take it again from where it was made",
    "record": "the record is not what the log holds: take the bundle again from the node",
    "inclusion": "the record, its index or the proof was changed: take the bundle again from the node",
    "checkpoint": "the checkpoint was changed, or too few members stand behind it: take the bundle again from the node",
    "anchor": "header and anchor do not belong to this checkpoint: take the bundle again from the node",
    "state": "the chain's state does not bear this out: take the bundle again, and ask the member about its keys",
    "finality": "the block is not final by the keys this policy trusts: is the policy of this city, and current?",
    "policy": "the policy asks for something else than the bundle shows: compare it with one from a member you trust",
    "licence": "the licence is not what its issuer signed and put on record: do not rely on it; ask its issuer",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One link of the evidence, in words."""

    name: str
    ok: bool
    detail: str


@contextmanager
def link(name: str) -> Iterator[None]:
    """Every error inside leaves as UntrustedError with a code that names a link of the evidence."""
    try:
        yield
    except LedgerError as error:
        prefix, _, _ = error.code.partition(".")
        known = prefix in LINKS
        raise UntrustedError(
            error.code if known else f"{name}.invalid",
            error.message if known else f"{error.message} ({error.code})",
            hint=error.hint or _HINTS[prefix if known else name],
            expected=error.expected,
            actual=error.actual,
        ) from error


def check_header(data: bytes, finality: Finality, trust: TrustPolicy) -> HeaderFields:
    """The header (RLP) of the block that a finality is of, in the policy's chain. Nothing is verified of the finality.

    Raises: UntrustedError(finality.* | anchor.header).
    """
    foreign = isinstance(finality, QbftFinality | UnprovenFinality)
    header = (decode_foreign if foreign else decode_header)(data)
    head = finality.head
    if isinstance(finality, BftFinality):
        # Only the very next header: later ones carry the same hash while no block is made, and one block has one proof.
        height = ("finality.height", "the consensus height", header.consensus_height, finality.light.height - 1)
    else:
        height = ("anchor.header", "the consensus height (solo: the block's)", header.height, header.consensus_height)
    pairs = (
        ("finality.chain", "the chain", trust.chain, head.chain),
        ("finality.header", "the hash of the header", header.hash, head.hash),
        ("finality.height", "the height of the header", header.height, head.height),
        height,
    )
    for code, what, expected, actual in pairs:
        if expected != actual:
            raise UntrustedError(code, f"{what} is another one", expected=expected, actual=actual)
    if foreign and head.time_ms != 1000 * header.time:
        raise UntrustedError(
            "finality.time", "the time is not that of the block", expected=header.time, actual=head.time_ms
        )
    if head.time_ms // 1000 < header.time:
        raise UntrustedError(
            "finality.time", "the head is signed for a time before its block", expected=header.time, actual=head.time_ms
        )
    return header


def quorum_needed(active: int, trust: TrustPolicy) -> int:
    """The quorum of the others among ``active`` members, the one they stand by included.

    Raises: UntrustedError(policy.quorum).
    """
    quorum = quorum_of(max(active, 1))
    if quorum < trust.quorum:
        raise UntrustedError(
            "policy.quorum",
            f"the chain's quorum of {quorum} is below the policy's least quorum",
            expected=trust.quorum,
            actual=quorum,
        )
    return quorum
