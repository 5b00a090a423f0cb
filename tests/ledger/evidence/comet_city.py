"""The city in memory on the engine cometbft: its bundles carry light blocks, its policies pin one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from eth_utils import keccak

from ledger.evidence.bft import BftFinality, make_bft
from ledger.evidence.light import LightBlock
from ledger.evidence.policy import LightPin, TrustPolicy
from ledger.identifiers import consensus_chain_id
from tests.ledger.evidence.city import CHAIN, NOW, City
from tests.ledger.evidence.comet import FOUR, Signed, ValidatorSet, signed, validators

COMET_CHAIN = consensus_chain_id(CHAIN)
FIVE = validators(0, 1, 2, 3, 4)


def height_of(height: int, **changes: Any) -> Signed:
    """A consensus height of this city: a second each, height 78 at 300 ms after the second of the block."""
    time_ns = 1_000_000 * (1000 * NOW + 300 + 1000 * (height - 78))
    return signed(height, **{"chain_id": COMET_CHAIN, "time_ns": time_ns} | changes)


#: The validators change between the pin and the bundle: a fifth one joins.
CHANGE = height_of(60, next=FIVE)


@dataclass(kw_only=True)
class CometCity(City):
    """``changed``: whether :data:`CHANGE` lies before the bundle's block, which is of consensus height 77."""

    consensus_height: int | None = 77
    changed: bool = False

    @property
    def set(self) -> ValidatorSet:
        return FIVE if self.changed else FOUR

    def light(self, header: bytes, **changes: Any) -> LightBlock:
        """The light block after the block with this header."""
        fields: dict[str, Any] = {"app_hash": keccak(header), "set": self.set} | changes
        return height_of(fields.pop("height", 78), **fields).light()

    def finality(self, header: bytes) -> BftFinality:
        previous = BftFinality(chain=CHAIN, height=30, light=CHANGE.light()) if self.changed else None
        return make_bft(chain=CHAIN, height=self.height, light=self.light(header), previous=previous)

    def trust(self, **changes: Any) -> TrustPolicy:
        """Pinned at consensus height 50; ``pinned`` may be the changed height instead."""
        pinned = changes.pop("pinned", height_of(50))
        pin = LightPin(
            height=pinned.height,
            hash=pinned.hash,
            validators_hash=pinned.set.hash,
            checked_at_ms=1000 * NOW - 60_000,
        )
        solo = City.trust(self)
        return replace(replace(solo, engine="cometbft", pinned=pin), **changes)
