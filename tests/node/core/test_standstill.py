"""A node that stands still acknowledges nothing, whichever disk failed; a file beside the log does not stop it."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

import node.trail.alarms
from ledger.errors import FatalError, LedgerError, UnavailableError
from ledger.evidence import merkle
from ledger.keys import Ed25519Signer
from ledger.log import DepartmentLog
from ledger.model import KeyRole
from node.context import system_clock
from node.standstill import Standstill
from node.trail.alarms import AlarmBook
from tests.node.core.makers import make_uscc
from tests.node.trail.town import make_record

ORIGIN = "310000.data.civicledger/log"


@pytest.mark.parametrize("code", ["log.failed", "log.no-space", "log.read-only", "chain.write-failed"])
def test_a_log_takes_nothing_while_the_node_stands_still(tmp_path: Path, code: str) -> None:
    signer = Ed25519Signer(KeyRole.LOG, b"\7" * 32)
    with DepartmentLog.open(tmp_path / "log", origin=ORIGIN, signer=signer, clock=system_clock) as log:
        log.guard(())
        log.append_record(make_record(make_uscc(1), 1))
        standstill = Standstill(log)
        error = FatalError(code, "the disk failed")
        assert not standstill.begin(FatalError("store.corrupt", "another kind"))
        assert log.why_closed is None
        assert standstill.begin(error)
        for attempt in (
            lambda: log.append_record(make_record(make_uscc(1), 2)), log.publish,
            lambda: log.guard(()), standstill.check,
        ):  # fmt: skip
            with pytest.raises(FatalError) as caught:
                attempt()
            assert caught.value is error is standstill.reason
        assert standstill.begin(FatalError("log.failed", "again")), "what came first is what is said"
        assert log.why_closed is standstill.reason is error
        assert log.root() == merkle.root([log.leaf(0)])


def test_an_alarm_that_cannot_be_written_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path, data: bytes) -> None:
        raise OSError(errno.EIO, "Input/output error")

    book = AlarmBook(tmp_path / "alarms", clock=system_clock)
    with monkeypatch.context() as patch:
        patch.setattr(node.trail.alarms, "replace_file", broken)
        with pytest.raises(LedgerError) as caught:
            book.raise_alarm("log.unshown", make_uscc(2), "it hides")
    assert isinstance(caught.value, UnavailableError), "the loop tries again"
    assert caught.value.code == "disk.failed"
