"""What a log is compared with before it opens: what witnesses said, the silent ones too, and its own store."""

from __future__ import annotations

import pytest

from ledger.codec import encode_record
from ledger.errors import ConflictError
from ledger.evidence import merkle
from ledger.log import DepartmentLog
from node.chain.tracker import PeerTracker
from node.context import system_clock
from node.trail.opening import LogOpening
from tests.node.core.makers import eventually
from tests.node.trail.test_witnesses import Found
from tests.node.trail.town import http, make_record


@pytest.mark.parametrize("quorum", [True, False])
def test_what_a_witness_knew_is_not_forgotten_when_it_goes_silent(found: Found, quorum: bool) -> None:
    """A backup of 5 records; one witness saw 8 and dies: with the others alone no second root of 8 may be signed."""
    town = found(4)
    owner = town.bodies[0]
    records = [encode_record(make_record(owner.uscc, number)) for number in range(8)]
    note = owner.note([merkle.leaf_hash(data) for data in records], 8)
    said = [http(200, note)]
    town.liar(3, lambda path, body: said[0])
    asleep = http(503, b"")
    others = [asleep if not quorum else http(404, b"")]
    for number in (1, 2):
        town.liar(number, lambda path, body: others[0])

    def start() -> tuple[DepartmentLog, LogOpening]:
        log = DepartmentLog.open(town.folder / "own", origin=owner.info.origin, signer=owner.log, clock=system_clock)
        town.at_end(log.close)
        return log, LogOpening(
            member=owner.uscc, log=log, roster=town.roster, anchored=lambda: None, kept=lambda: None,
            peers=town.peers, tracker=PeerTracker(system_clock), timeout=180, metrics=town.metrics,
            on_open=lambda: None, on_fatal=lambda error: None,
        )  # fmt: skip

    def refused(opening: LogOpening) -> bool:
        try:
            return opening._step() is None
        except ConflictError as error:
            return error.code == "log.behind"

    log, opening = start()
    log.refill(records[:5])
    if quorum:
        eventually(lambda: refused(opening), 300)
    else:
        # Too few answer: nothing is compared yet, and what this one said stays known.
        eventually(lambda: opening._step() is not None and "1 of the 2" in opening.waiting_for, 300)
    said[0], others[0] = asleep, http(404, b"")
    eventually(lambda: refused(opening), 300)
    with pytest.raises(ConflictError, match=r"log\.behind"):
        log.append([records[0]])
    # Nor after a restart.
    log.close()
    again, reopening = start()
    eventually(lambda: refused(reopening), 300)
    with pytest.raises(ConflictError, match=r"log\.behind"):
        again.append([records[0]])


def test_a_note_of_our_own_store_counts_as_seen(found: Found) -> None:
    town = found(3)
    owner = town.bodies[0]
    for number in (1, 2):
        town.liar(number, lambda path, body: http(404, b""))
    note = owner.note([bytes([number]) * 32 for number in range(3)], 3)
    log = DepartmentLog.open(town.folder / "own", origin=owner.info.origin, signer=owner.log, clock=system_clock)
    town.at_end(log.close)
    opening = LogOpening(
        member=owner.uscc, log=log, roster=town.roster, anchored=lambda: None, kept=lambda: note, peers=town.peers,
        tracker=PeerTracker(system_clock), timeout=180, metrics=town.metrics, on_open=lambda: None,
        on_fatal=lambda error: None,
    )  # fmt: skip

    def closed() -> bool:
        try:
            return opening._step() is None
        except ConflictError as error:
            return error.code == "log.behind"

    eventually(closed, 300)
    with pytest.raises(ConflictError, match=r"log\.behind"):
        log.publish()
