"""Four validators and their view of each other: who is missing, whether the rest is a quorum, and the way back."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.chain.devnet import DevMember
from ledger.model import KeyRole
from node.comet.view import ConsensusView, ConsensusWatch, MemberKeys
from node.context import system_clock
from tests.bft.comet_homes import Comet, cometbft, genesis_of, make_members, until

MEMBERS = make_members(4)
KEYS = tuple(
    MemberKeys(
        uscc=member.uscc,
        consensus=(member.signer(KeyRole.CONSENSUS).public,),
        p2p=(member.signer(KeyRole.P2P).public,),
    )
    for member in MEMBERS
)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[tuple[Comet, ...]]:
    """Four processes on four addresses. Nobody knows anybody: the watches make them meet."""
    cometbft()
    genesis = genesis_of(MEMBERS, 4)
    comets = tuple(Comet(tmp_path / member.founder.handle, member, genesis, empty_interval_s=1) for member in MEMBERS)
    for comet in comets:
        comet.process.start()
    yield comets
    for comet in comets:
        comet.stop()


def watch_of(comets: tuple[Comet, ...], number: int) -> ConsensusWatch:
    return ConsensusWatch(
        comets[number].rpc,
        comets[number].process,
        members=lambda: KEYS,
        own=MEMBERS[number].uscc,
        addresses=lambda: tuple(comet.peer for at, comet in enumerate(comets) if at != number),
        waiting=lambda: (0, 0, False),
        clock=system_clock,
    )


def test_who_is_missing_is_seen_and_they_come_back(network: tuple[Comet, ...]) -> None:
    watches = [watch_of(network, number) for number in range(4)]

    def look(watch: ConsensusWatch = watches[0]) -> ConsensusView:
        watch.step()
        view = watch.view()
        assert view is not None
        return view

    def all_look() -> ConsensusView:
        for watch in watches[1:]:
            watch.step()
        return look()

    view = until(lambda: (seen := all_look()).height >= 3 and not seen.missing and len(seen.peers) == 3 and seen)
    assert {one.member for one in view.validators} == {member.uscc for member in MEMBERS}
    assert view.quorum
    assert view.process.running
    assert (view.catching_up, view.mempool_txs) == (False, 0)
    assert view.grown_ms
    assert view.time_ms > 0

    # One is killed and does not come back: three go on without it.
    network[3].process.stop()

    def missing(*members: DevMember) -> ConsensusView | None:
        """The view in which exactly these are missing: for a moment another one may be late as well."""
        seen = look()
        return seen if {one.member for one in seen.missing} == {member.uscc for member in members} else None

    view = until(lambda: missing(MEMBERS[3]))
    assert view.quorum
    assert view.missing[0].missing_since_ms > 0
    height = view.height
    until(lambda: look().height > height + 1)

    # A second one hangs: its connections stay open, but it does not vote, and nothing is decided any more.
    pid = network[2].process.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        view = until(lambda: missing(MEMBERS[2], MEMBERS[3]))
        assert not view.quorum
        assert view.step
    finally:
        os.kill(pid, signal.SIGCONT)
    height = view.height
    until(lambda: look().height > height)
    network[3].process.start()
    until(lambda: not (all_look()).missing)
