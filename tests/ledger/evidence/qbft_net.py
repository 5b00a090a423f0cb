"""A QBFT network on paper: validators with keys, and headers they seal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import rlp

from ledger.codec import keccak256
from ledger.evidence.qbft import MIX_HASH, NO_OMMERS, QbftExtra, QbftHeader, QbftVote
from ledger.evidence.qbftcontract import ContractSet, contract_set
from ledger.keys import AccountSigner
from tests.ledger.evidence.naive_trie import EMPTY_ROOT, Trie

KEYS = sorted((AccountSigner(keccak256(b"validator %d" % number)) for number in range(9)), key=lambda key: key.address)

CONTRACT = b"\xcc" * 20


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


class Contract:
    """A state with a contract that keeps these validators, in an order of its own, and an account beside it."""

    def __init__(self, members: Sequence[int]) -> None:
        first = int.from_bytes(keccak256(bytes(32)), "big")
        self.slots = [bytes(32), *((first + place).to_bytes(32, "big") for place in range(len(members)))]
        values = [bytes([len(members)]), *(KEYS[number].address.lstrip(b"\0") for number in reversed(members))]
        self.storage = Trie({slot: rlp.encode(value) for slot, value in zip(self.slots, values, strict=True)})
        account = rlp.encode([b"\x01", b"", self.storage.root, keccak256(b"code")])
        other = rlp.encode([b"", b"\x07", EMPTY_ROOT, keccak256(b"")])
        self.accounts = Trie({CONTRACT: account, b"\x99" * 20: other})

    @property
    def root(self) -> bytes:
        """The state root."""
        return self.accounts.root

    def proven(self) -> ContractSet:
        """The proofs of the whole set."""
        return contract_set(self.accounts.proof(CONTRACT), [self.storage.proof(slot) for slot in self.slots])


def changed(unsealed: QbftHeader, place: int, value: bytes) -> QbftHeader:
    """The header with another field."""
    fields = list(unsealed.fields)
    fields[place] = value
    return replace(unsealed, fields=tuple(fields))
