"""The city in memory on a network that somebody else runs: sealed by QBFT validators, or by nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from eth_utils import keccak

from ledger.evidence.finality import Head
from ledger.evidence.network import EXTERNAL, NetworkFinality, NetworkPin, UnprovenFinality
from ledger.evidence.policy import TrustPolicy
from ledger.evidence.qbft import QbftHeader, quorum
from ledger.evidence.qbftfinality import QbftPin, make_qbft
from tests.ledger.evidence.city import CHAIN, HANDLES, NOW, City
from tests.ledger.evidence.qbft_net import addresses, changed, header, sealed

STATE, TIME = 3, 11


@dataclass(kw_only=True)
class NetworkCity(City):
    """``sealing``: which validators the network has; none: its blocks carry no seals. The block's time has no
    milliseconds."""

    sealing: Sequence[int] = (0, 1, 2, 3)
    head_time_ms: int = 1000 * NOW
    made: list[QbftHeader] = field(default_factory=list)

    @property
    def pin(self) -> NetworkPin:
        return NetworkPin(
            height=40, hash=keccak(b"pinned"), checked_at_ms=1000 * NOW - 60_000, validators=addresses(self.sealing)
        )

    def header(self, state_root: bytes) -> bytes:
        """As the block hash covers it."""
        if not self.sealing:
            return City.header(self, state_root)
        bare = changed(header(self.sealing, height=self.height), STATE, state_root)
        bare = changed(bare, TIME, (self.head_time_ms // 1000).to_bytes(4, "big"))
        self.made.append(bare)
        return bare.hashed

    def finality(self, header: bytes) -> NetworkFinality:  # type: ignore[override]
        if not self.sealing:
            head = Head(chain=CHAIN, height=self.height, hash=keccak(header), time_ms=self.head_time_ms)
            return UnprovenFinality(head=head)
        full = sealed(self.made[-1], self.sealing[: quorum(len(self.sealing))])
        pin = QbftPin(height=self.pin.height, hash=self.pin.hash, validators=self.pin.validators)
        return make_qbft(CHAIN, full, (), pin)

    def trust(self, **changes: Any) -> TrustPolicy:
        """Without seals every log and witness key is pinned."""
        keys = (self.log_vkey, *(self.witness_vkey(number) for number in range(len(HANDLES))))
        policy = replace(City.trust(self), engine=EXTERNAL, pinned=self.pin, pins=() if self.sealing else keys)
        return replace(policy, **changes)
