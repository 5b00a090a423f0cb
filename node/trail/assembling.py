"""The parts of witnessing as a node has them: what each takes from the node's core is written down here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ledger.identifiers import witness_name
from ledger.model import KeyRole
from node.trail.crosscheck import CrossCheck
from node.trail.feeding import WitnessFeed, WitnessFeeds
from node.trail.witnessing import LogWitness

if TYPE_CHECKING:
    from ledger.errors import LedgerError
    from node.context import NodeContext
    from node.core import NodeCore
    from node.trail.attendance import Attendance
    from node.trail.publishing import CheckpointPublisher


def make_witness(core: NodeCore, on_doubt: Callable[[str, bytes], None]) -> LogWitness:
    """The witness for every other member's log."""
    section = core.config.member
    return LogWitness(
        member=core.member,
        name=witness_name(section.region, section.handle),
        signer=lambda: core.keys[KeyRole.WITNESS],
        store=core.stores.witness,
        roster=core.rosters.current,
        clock=core.clock,
        metrics=core.metrics,
        alarms=core.alarms,
        on_doubt=on_doubt,
    )


def make_crosscheck(
    core: NodeCore,
    context: Callable[[], NodeContext],
    is_open: Callable[[], bool],
    on_fatal: Callable[[LedgerError], None],
) -> CrossCheck:
    """Comparing what witnesses hold."""
    return CrossCheck(
        member=core.member,
        store=core.stores.witness,
        roster=core.rosters.current,
        peers=core.peers,
        rests=core.tracker.rests,
        alarms=core.alarms,
        context=context,
        is_open=is_open,
        timeout=float(core.config.log.witness_timeout),
        metrics=core.metrics,
        on_fatal=on_fatal,
    )


def make_feeds(
    core: NodeCore,
    publisher: Callable[[], CheckpointPublisher],
    attendance: Attendance,
    on_fatal: Callable[[LedgerError], None],
) -> WitnessFeeds:
    """The feeds to the witnesses of the own log."""

    def feed(witness: str) -> WitnessFeed:
        return WitnessFeed(
            witness,
            log=core.log,
            publisher=publisher(),
            roster=core.rosters.current,
            peers=core.peers,
            tracker=core.tracker,
            attendance=attendance,
            alarms=core.alarms,
            metrics=core.metrics,
            timeout=float(core.config.log.witness_timeout),
            on_fatal=on_fatal,
        )

    return WitnessFeeds(core.member, feed, core.rosters.current, core.peers)
