"""What a recovery may say: it follows from the old state and from what is chosen, and from nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from ledger.chain.genesis import COMETBFT, FoundingMember, Genesis, Recovered, decode_genesis, recovery_genesis
from ledger.chain.recovery import OldState, Recovery, handles_of
from ledger.errors import ConflictError, InvalidInputError, NotAllowedError, UntrustedError
from ledger.model import KeyRole, format_time

#: Fewest validators of a recovered network: one of them may be away.
MIN_VALIDATORS: Final = 4
#: How far ahead of a member's clock the new network may begin, ms: before that time it makes no block.
MAX_AHEAD_MS: Final = 600_000
_MAX_CHAIN_ID: Final = (1 << 32) - 1


def propose(
    state: OldState, *, lost: Sequence[str], validators: Sequence[str], now_ms: int, chain_id: int = 0
) -> Recovery:
    """A recovery from this head, not signed yet. ``lost``: validators that will not come back, ``validators``: members
    that vote in their place (handles or USCCs); ``chain_id`` 0 is the number after the old one.

    Raises: NotAllowedError(recovery.not-needed | recovery.too-few-validators),
    InvalidInputError(recovery.engine | recovery.lost | recovery.validator | recovery.chain-id | recovery.block-zero).
    """
    old = decode_genesis(state.genesis)
    _check_engine(old)
    gone = tuple(sorted(_lost_validator(state, name) for name in dict.fromkeys(lost)))
    entering = [_entering(state, name, gone) for name in dict.fromkeys(validators)]
    voters = {uscc for uscc in state.validators if uscc not in gone} | set(entering)
    return Recovery(
        genesis=_genesis_of(
            state,
            old,
            terms=Recovered(chain=old.digest, chain_id=old.chain_id, height=state.height, hash=state.hash, lost=gone),
            voters=voters,
            chain_id=chain_id or old.chain_id + 1,
            time_ms=max(now_ms, (state.time_s + 1) * 1000),
        )
    )


def check_terms(recovery: Recovery, state: OldState) -> None:
    """That this is what the old state gives, and that this state is exactly the agreed head.

    Raises: ConflictError(recovery.other-chain | recovery.ahead | recovery.behind | recovery.other-head),
    UntrustedError(recovery.genesis), and what :func:`propose` raises.
    """
    terms, old = recovery.terms, decode_genesis(state.genesis)
    _check_head(terms, state, old)
    expected = _genesis_of(
        state,
        old,
        terms=terms,
        voters={member.uscc for member in recovery.city.validators},
        chain_id=recovery.city.chain_id,
        time_ms=recovery.city.time_ms,
    )
    if expected != recovery.genesis:
        raise UntrustedError(
            "recovery.genesis",
            "the new genesis file says more or other than the old state gives",
            hint="do not sign it: have it proposed anew with `city recover propose` by a member you trust",
            expected=hashlib.sha256(expected).digest(),
            actual=recovery.city.digest,
        )


def check_clock(recovery: Recovery, state: OldState, now_ms: int) -> None:
    """That the new network can begin: CometBFT waits until the time of its genesis file, and a block's time never goes
    back. Raises: ConflictError(recovery.clock)."""
    latest = max(now_ms, (state.time_s + 1) * 1_000) + MAX_AHEAD_MS
    if recovery.city.time_ms > latest:
        raise ConflictError(
            "recovery.clock",
            f"the new network would begin at {format_time(recovery.city.time_ms)} only; here it is "
            f"{format_time(now_ms)}",
            hint="compare the clocks of both machines (NTP); where the proposer's was ahead, have it withdrawn and "
            "proposed anew",
            expected=format_time(latest),
            actual=format_time(recovery.city.time_ms),
        )


def _check_head(terms: Recovered, state: OldState, old: Genesis) -> None:
    if terms.chain != old.digest or terms.chain_id != old.chain_id:
        raise ConflictError(
            "recovery.other-chain",
            "the recovery is of another chain than this node's",
            hint="is it the right city, and has this node started on the recovery already?",
            expected=terms.chain,
            actual=old.digest,
        )
    if state.height > terms.height:
        raise ConflictError(
            "recovery.ahead",
            f"this node has blocks up to {state.height}: from {terms.height + 1} on they would be lost",
            hint="propose anew from this node: the highest head must be the agreed one",
            expected=terms.height,
            actual=state.height,
        )
    if state.height < terms.height:
        raise ConflictError(
            "recovery.behind",
            f"this node has blocks up to {state.height}, the recovery goes on from {terms.height}",
            hint="run this node beside one that has them until it caught up, or take the file state in recovery/ of "
            "the member that proposed, and add --state",
            expected=terms.height,
            actual=state.height,
        )
    if state.hash != terms.hash:
        raise ConflictError(
            "recovery.other-head",
            f"this node has another block {state.height} than the agreed one",
            hint="two blocks of one height are a fork: stop, keep both folders and compare with the other members",
            expected=terms.hash,
            actual=state.hash,
        )


def _genesis_of(
    state: OldState, old: Genesis, *, terms: Recovered, voters: set[str], chain_id: int, time_ms: int
) -> bytes:
    _check_choice(state, old, terms, voters, chain_id)
    names = {member.uscc: member.name for member in old.members}
    members = tuple(
        FoundingMember(
            uscc=info.uscc,
            name=names.get(info.uscc, info.handle),
            handle=info.handle,
            region=info.region,
            roles=info.roles,
            account=info.account,
            validator=info.uscc in voters,
            keys=state.keys[info.uscc],
        )
        for info in state.active
    )
    return recovery_genesis(state.genesis, chain_id=chain_id, time_ms=time_ms, members=members, recovery=terms)


def _check_choice(state: OldState, old: Genesis, terms: Recovered, voters: set[str], chain_id: int) -> None:
    _check_engine(old)
    if state.height == 0:
        raise InvalidInputError(
            "recovery.block-zero", "this chain has no block after genesis", hint="found the city anew: nothing is lost"
        )
    if not old.chain_id < chain_id <= _MAX_CHAIN_ID:
        raise InvalidInputError(
            "recovery.chain-id",
            f"the new chain number is {chain_id}; it must be above {old.chain_id} and at most {_MAX_CHAIN_ID}",
            hint="another number keeps transactions of the one chain from being replayed on the other",
            expected=old.chain_id + 1,
            actual=chain_id,
        )
    for uscc in terms.lost:
        _lost_validator(state, uscc)
    for uscc in voters:
        _entering(state, uscc, terms.lost)
    total, gone = len(state.validators), len(terms.lost)
    if 3 * gone < total:
        raise NotAllowedError(
            "recovery.not-needed",
            f"{gone} of {total} validators are declared lost: the others are more than two thirds and can go on",
            hint="exchange them by vote: `member propose replace-validator OLD NEW`",
            expected=-(-total // 3),
            actual=gone,
        )
    if len(voters) < MIN_VALIDATORS:
        left = sum(info.uscc not in terms.lost for info in state.active)
        raise NotAllowedError(
            "recovery.too-few-validators",
            f"{len(voters)} validators would vote, at least {MIN_VALIDATORS} are needed",
            hint="add members that did not validate: --validator HANDLE"
            if left >= MIN_VALIDATORS
            else f"only {left} members are left: bring a lost one back with its keys from the backup, as not lost",
            expected=MIN_VALIDATORS,
            actual=len(voters),
        )


def _check_engine(old: Genesis) -> None:
    if old.engine != COMETBFT:
        raise InvalidInputError(
            "recovery.engine",
            f"this city is on the engine {old.engine}: its members have no quorum to lose",
            hint="solo: restore the sequencer's node from its backup; external: ask who runs that network",
            expected=COMETBFT,
            actual=old.engine,
        )


def _lost_validator(state: OldState, name: str) -> str:
    info = state.info(name)
    if info is None or not info.validator:
        raise InvalidInputError(
            "recovery.lost",
            f"{name} is no validator at block {state.height}",
            hint=f"the validators are {handles_of(state, state.validators)}",
            actual=name,
        )
    return info.uscc


def _entering(state: OldState, name: str, lost: Sequence[str]) -> str:
    info = state.info(name)
    if info is None:
        raise InvalidInputError(
            "recovery.validator",
            f"{name} is no active member at block {state.height}",
            hint=f"the members are {handles_of(state, [one.uscc for one in state.active])}",
            actual=name,
        )
    if info.uscc in lost:
        raise InvalidInputError(
            "recovery.validator", f"{info.handle} cannot be lost and vote", hint="name it once", actual=info.uscc
        )
    if sum(role is KeyRole.CONSENSUS for role, _ in state.keys[info.uscc]) != 1:
        raise InvalidInputError(
            "recovery.validator",
            f"{info.handle} has no consensus key of its own on chain",
            hint="choose another member: a key can only be registered while the chain goes on",
            actual=info.uscc,
        )
    return info.uscc
