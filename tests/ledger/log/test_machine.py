"""The log under any order of appends, checkpoints, restarts and power cuts, against a list in memory."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis.strategies as st
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ledger.evidence import merkle
from ledger.evidence.checkpoint import Checkpoint, parse_checkpoint, parse_note
from ledger.keys import Ed25519Signer
from ledger.log import DepartmentLog, fsck
from ledger.model import KeyRole
from tests.ledger.log.conftest import NOW, ORIGIN, record


class LogMachine(RuleBasedStateMachine):
    """``entries`` are the acknowledged records; ``heads`` every head whose signature ever left."""

    def __init__(self) -> None:
        super().__init__()
        self.scratch = TemporaryDirectory(prefix="log-machine-")
        self.generation = 0
        self.entries: list[bytes] = []
        self.batches: dict[bytes, tuple[int, list[bytes]]] = {}
        self.heads: list[Checkpoint] = []
        self.made = 0
        self.log = self._open()

    def teardown(self) -> None:
        self.log.close()
        self.scratch.cleanup()

    @property
    def folder(self) -> Path:
        return Path(self.scratch.name) / str(self.generation)

    def _open(self) -> DepartmentLog:
        signer = Ed25519Signer(KeyRole.LOG, b"\7" * 32)
        log = DepartmentLog.open(self.folder, origin=ORIGIN, signer=signer, clock=lambda: NOW)
        log.guard(self.heads)
        return log

    @rule(count=st.integers(1, 300))
    def append(self, count: int) -> None:
        records = [record(self.made + number) for number in range(count)]
        self.made += count
        assert self.log.append(records) == (len(self.entries), count)
        self.entries += records

    @rule(batch=st.binary(min_size=16, max_size=16), count=st.integers(1, 5))
    def append_batch(self, batch: bytes, count: int) -> None:
        if batch in self.batches:
            return
        records = [record(self.made + number) for number in range(count)]
        self.made += count
        assert self.log.append(records, batch) == (len(self.entries), count)
        self.batches[batch] = (len(self.entries), records)
        self.entries += records

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def repeat_batch(self, data: st.DataObject) -> None:
        batch = data.draw(st.sampled_from(sorted(self.batches)))
        first, records = self.batches[batch]
        assert self.log.append(records, batch) == (first, len(records))

    @rule()
    def publish(self) -> None:
        head = parse_checkpoint(parse_note(self.log.publish()).text)
        assert head.size == len(self.entries)
        self.heads.append(head)

    @rule()
    def restart(self) -> None:
        self.log.close()
        self.log = self._open()

    @rule()
    def power_cut(self) -> None:
        """The folder as the disk has it while the log is running, and nothing that only memory knew."""
        old, old_folder = self.log, self.folder
        self.generation += 1
        shutil.copytree(old_folder, self.folder, ignore=shutil.ignore_patterns("LOCK"))
        old.close()
        shutil.rmtree(old_folder)
        self.log = self._open()

    @invariant()
    def nothing_acknowledged_is_lost(self) -> None:
        assert self.log.size == len(self.entries)
        if self.entries:
            place = len(self.entries) * 2 // 3
            assert self.log.read(place, 1) == [self.entries[place]]
            assert self.log.leaf(place) == merkle.leaf_hash(self.entries[place])

    @invariant()
    def every_signed_head_is_still_the_root_of_its_size(self) -> None:
        assert len({head.size: head.root for head in self.heads}) == len(set(self.heads))
        for head in self.heads[-3:]:
            assert self.log.root(head.size) == head.root

    @invariant()
    def fsck_agrees(self) -> None:
        report = fsck(self.folder, seen=self.heads[-2:])
        assert report.ok, report
        assert report.size == len(self.entries)


LogMachine.TestCase.settings = settings(
    max_examples=12, stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestLogMachine = LogMachine.TestCase
