"""Finality of a QBFT network taken from the external engine: the sealed block and the way to its validators.

Where the set changed since the pinned block, the headers in between need not all be read: a header that a quorum of the
trusted set and a quorum of its own sealed may be jumped to; where it may not, the middle is tried first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from ledger.errors import NotFoundError, UntrustedError
from ledger.evidence.qbft import decode_header
from ledger.evidence.qbftfinality import MAX_HANDOVER, QbftFinality, QbftPin, SealedHead, hands_over, make_qbft
from ledger.storage.chainstate import StoredBlock

#: Headers looked at on the way from a pin: some hundred changes of the set over a network's life are found with it.
MAX_HEADERS: Final = 4096
#: How far behind a change of the set a block with more seals is looked for.
_BEHIND: Final = 64


class Blocks(Protocol):
    """Where blocks are read: ``ExternalChain``."""

    def block(self, which: int | bytes) -> StoredBlock | None: ...


def take_finality(chain: Blocks, height: int, pin: QbftPin, digest: bytes) -> QbftFinality:
    """The finality of an adopted block; ``digest``: what a policy calls the chain (32 bytes).

    Raises NotFoundError(chain.height), UntrustedError(qbft.*) where the block is not sealed or no hand-over leads to
    its validators, UnavailableError(chain.*).
    """

    def read(at: int) -> bytes:
        found = chain.block(at)
        if found is None:
            raise NotFoundError("chain.height", f"block {at} is not there (yet)", hint="wait for it")
        return found.header

    header = read(height)
    return make_qbft(digest, header, _way(lambda at: header if at == height else read(at), height, pin), pin)


def pin_of(head: SealedHead) -> QbftPin:
    """A verified block as the pin of the next finality: the way begins there."""
    return QbftPin(height=head.height, hash=head.hash, validators=head.validators)


def _way(read: Callable[[int], bytes], height: int, pin: QbftPin) -> list[bytes]:
    """The headers that hand over from the pin to the block, ascending."""
    steps: list[bytes] = []
    trusted, at, goals, looked = pin.validators, pin.height, [height], 0
    while goals and len(steps) <= MAX_HANDOVER and looked < MAX_HEADERS:
        if goals[-1] <= at:
            goals.pop()
            continue
        goal, looked = goals[-1], looked + 1
        raw = read(goal)
        header = decode_header(raw)
        if header.extra.validators in ((), trusted):
            at = goal
        elif hands_over(header, trusted):
            steps.append(raw)
            trusted, at = header.extra.validators, goal
        elif goal - at > 1:
            goals.append((at + goal) // 2)
        else:
            # The very block of the change carries too few seals of the set before: one soon behind it may carry more.
            looked += _BEHIND
            later = (read(place) for place in range(goal + 1, min(goal + _BEHIND, height) + 1))
            found = next((item for item in later if hands_over(decode_header(item), trusted)), None)
            if found is None:
                raise UntrustedError(
                    "qbft.handover",
                    f"the validators of block {goal} are not those a quorum before it sealed",
                    hint="take a later block, or a policy with a newer pinned block from a member you trust",
                )
            steps.append(found)
            trusted, at = decode_header(found).extra.validators, decode_header(found).height
    if goals:
        raise UntrustedError(
            "qbft.handover",
            f"the validators changed too often since block {pin.height}",
            hint="take a policy with a newer pinned block from a member you trust",
            expected=MAX_HANDOVER,
            actual=len(steps),
        )
    return steps
