"""Finality of a QBFT network taken from the external engine: the sealed block and the way to its validators.

Where the set changed since the pinned block, the headers in between need not all be read: one that leads from the
trusted set to another may be jumped to; where none is found at a height, the middle is tried first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, cast

from ledger.errors import NotFoundError, UntrustedError
from ledger.evidence.qbft import QbftHeader, decode_header, verify_seals
from ledger.evidence.qbftcontract import COUNT_SLOT, ContractSet, contract_set, read_set, validator_slots
from ledger.evidence.qbftfinality import (
    MAX_HANDOVER,
    QbftFinality,
    QbftPin,
    QbftStep,
    SealedHead,
    hands_over,
    make_qbft,
)
from ledger.storage.chainstate import StoredBlock

#: Headers looked at on the way from a pin: some hundred changes of the set over a network's life are found with it.
MAX_HEADERS: Final = 4096
#: How far behind a change of the set a block with more seals is looked for.
_BEHIND: Final = 64

Read = Callable[[int], QbftHeader]


class Blocks(Protocol):
    """Where blocks and proofs are read: ``ExternalChain``."""

    def block(self, which: int | bytes) -> StoredBlock | None: ...
    def proof(self, address: bytes, slots: Sequence[bytes], height: int | None = None) -> Mapping[str, Any]: ...


def take_finality(chain: Blocks, height: int, pin: QbftPin, digest: bytes) -> QbftFinality:
    """The finality of an adopted block; ``digest``: what a policy calls the chain (32 bytes).

    Where a contract keeps the validators, the network's node must still have the state of the blocks at which they
    changed. Raises NotFoundError(chain.height | proof.window), UntrustedError(qbft.* | state.*) where the block is not
    sealed or no hand-over leads to its validators, UnavailableError(chain.*).
    """
    looked = 0

    def read(at: int) -> QbftHeader:
        nonlocal looked
        looked += 1
        if looked > MAX_HEADERS:
            raise _too_far(pin)
        found = chain.block(at)
        if found is None:
            raise NotFoundError("chain.height", f"block {at} is not there (yet)", hint="wait for it")
        return decode_header(found.header)

    header = read(height)
    if pin.contract is None:
        way = _listed_way(read, height, pin)
    else:
        way = _proven_way(read, lambda at: _proven(chain, cast(bytes, pin.contract), at), header, pin)
    return make_qbft(digest, header, way, pin)


def pin_of(head: SealedHead, contract: bytes | None = None) -> QbftPin:
    """A verified block as the pin of the next finality: the way begins there."""
    return QbftPin(height=head.height, hash=head.hash, validators=head.validators, contract=contract)


def _listed_way(read: Read, height: int, pin: QbftPin) -> list[QbftStep]:
    """The steps from the pin to a block where headers name the validators, ascending."""
    steps: list[QbftStep] = []
    trusted, at, goals = pin.validators, pin.height, [height]
    while goals:
        goal = goals[-1]
        if goal <= at:
            goals.pop()
            continue
        step = QbftStep(header=read(goal))
        if step.header.extra.validators in ((), trusted):
            at = goal
            continue
        if not hands_over(step, trusted, pin):
            if goal - at > 1:
                goals.append((at + goal) // 2)
                continue
            # The very block of the change carries too few seals of the set before: one soon behind it may carry more.
            later = (QbftStep(header=read(place)) for place in range(goal + 1, min(goal + _BEHIND, height) + 1))
            found = next((item for item in later if hands_over(item, trusted, pin)), None)
            if found is None:
                raise _nobody(goal)
            step = found
        steps.append(step)
        if len(steps) > MAX_HANDOVER:
            raise _too_far(pin)
        trusted, at = step.header.extra.validators, step.header.height
    return steps


def _proven_way(read: Read, prove: Callable[[int], ContractSet], header: QbftHeader, pin: QbftPin) -> list[QbftStep]:
    """The steps from the pin to a block where a contract keeps the validators, ascending."""
    steps: list[QbftStep] = []
    trusted, at = pin.validators, pin.height
    while header.height > at and not _is_sealed(header, trusted):
        goal = header.height - 1
        while goal > at and not _is_sealed(read(goal), trusted):
            goal = (at + goal) // 2
        if goal <= at:
            raise _nobody(header.height)
        step = QbftStep(header=read(goal), proven=prove(goal))
        following = read_set(cast(ContractSet, step.proven), step.header.state_root, cast(bytes, pin.contract))
        if following != trusted:
            steps.append(step)
            if len(steps) > MAX_HANDOVER:
                raise _too_far(pin)
        trusted, at = following, goal
    return steps


def _is_sealed(header: QbftHeader, validators: tuple[bytes, ...]) -> bool:
    try:
        verify_seals(header, validators)
    except UntrustedError:
        return False
    return True


def _proven(chain: Blocks, contract: bytes, height: int) -> ContractSet:
    count = int.from_bytes(chain.proof(contract, [COUNT_SLOT], height)["storage"][0]["value"], "big")
    proof = chain.proof(contract, [COUNT_SLOT, *validator_slots(count)], height)
    return contract_set(proof["account_proof"], [entry["proof"] for entry in proof["storage"]])


def _nobody(height: int) -> UntrustedError:
    return UntrustedError(
        "qbft.handover",
        f"the validators of block {height} are not those a quorum before it sealed",
        hint="take a later block, or a policy with a newer pinned block from a member you trust",
    )


def _too_far(pin: QbftPin) -> UntrustedError:
    return UntrustedError(
        "qbft.handover",
        f"the validators changed too often since block {pin.height}",
        hint="take a policy with a newer pinned block from a member you trust",
    )
