"""A QBFT network on paper: validators with keys, and headers they seal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ledger.codec import keccak256
from ledger.evidence.qbft import MIX_HASH, NO_OMMERS, QbftExtra, QbftHeader, QbftVote
from ledger.keys import AccountSigner

KEYS = sorted((AccountSigner(keccak256(b"validator %d" % number)) for number in range(9)), key=lambda key: key.address)


def addresses(who: Sequence[int]) -> tuple[bytes, ...]:
    """The set of these validators, ascending."""
    return tuple(sorted(KEYS[number].address for number in who))


def header(
    members: Sequence[int],
    *,
    height: int = 7,
    fork: str = "london",
    listed: bool = True,
    vote: QbftVote | None = None,
    round_: int = 0,
    proposer: int | None = None,
) -> QbftHeader:
    """A header without seals."""
    fields = [
        keccak256(b"parent of %d" % height),
        NO_OMMERS,
        KEYS[members[0] if proposer is None else proposer].address,
        keccak256(b"state of %d" % height),
        keccak256(b"transactions"),
        keccak256(b"receipts"),
        bytes(256),
        b"\x01",
        height.to_bytes(8, "big").lstrip(b"\0"),
        (700_000_000).to_bytes(4, "big"),
        b"",
        (1_795_305_600 + height).to_bytes(4, "big"),
        b"",
        MIX_HASH,
        bytes(8),
    ]
    fields += {
        "berlin": [],
        "london": [b""],
        "shanghai": [b"", bytes(32)],
        "cancun": [b"", bytes(32), b"", b"", bytes(32)],
        "prague": [b"\x07", bytes(32), b"\x02", b"\x01\x00", bytes(32), bytes(32)],
    }[fork]
    extra = QbftExtra(
        vanity=bytes(32), validators=addresses(members) if listed else (), vote=vote, round=round_, seals=()
    )
    return QbftHeader(fields=tuple(fields), extra=extra)


def sealed(unsealed: QbftHeader, who: Sequence[int]) -> QbftHeader:
    """The header with the seals of these, in this order."""
    return unsealed.with_seals(KEYS[number].sign_digest(unsealed.seal_digest) for number in who)


def changed(unsealed: QbftHeader, place: int, value: bytes) -> QbftHeader:
    """The header with another field."""
    fields = list(unsealed.fields)
    fields[place] = value
    return replace(unsealed, fields=tuple(fields))
