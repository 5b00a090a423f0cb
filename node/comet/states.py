"""What CometBFT tells about the network: who votes, who is missing since when, whether the rest is a quorum."""

from __future__ import annotations

from dataclasses import dataclass

from node.comet.process import ProcessView

#: Steps of a round, by CometBFT's numbers. Source: consensus/types/round_state.go.
STEPS = ("", "new height", "new round", "propose", "prevote", "prevote wait", "precommit", "precommit wait", "commit")
#: From this step on a validator that takes part has voted in the round.
PREVOTE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberKeys:
    """An active member's public keys on a CometBFT network, 32 bytes each: while it rotates one it has two."""

    uscc: str
    consensus: tuple[bytes, ...]
    p2p: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidatorState:
    """A validator. ``key`` is its consensus key, ``member`` is empty when no member has it any more; ``signed_last``:
    its signature is in the newest commit; ``missing_since_ms`` is our clock, 0 while it is present."""

    member: str
    key: bytes
    power: int
    signed_last: bool
    connected: bool
    missing_since_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsensusView:
    """One look. ``at_ms`` is our clock; ``height`` and ``time_ms`` are the newest consensus height and its signed time;
    ``grown_ms`` is our clock when the height was last seen to grow (0: never yet), ``heights_per_s`` how fast in the
    last ten seconds. ``peers`` are the USCCs connected by p2p. ``mempool_*`` is what waits for a block at this node,
    ``mempool_ready``: the next one can hold some of it (the rest waits for earlier nonces). ``quorum``: more than two
    thirds of the power are present."""

    at_ms: int
    height: int
    time_ms: int
    grown_ms: int
    heights_per_s: float
    round: int
    step: str
    catching_up: bool
    peers: tuple[str, ...]
    mempool_txs: int
    mempool_bytes: int
    mempool_limit_txs: int
    mempool_ready: bool
    validators: tuple[ValidatorState, ...]
    quorum: bool
    process: ProcessView

    @property
    def missing(self) -> tuple[ValidatorState, ...]:
        """The validators that are not there."""
        return tuple(one for one in self.validators if one.missing_since_ms)
