"""Every system call of an append fails once, in a real process with the real native module.

Afterwards the caller had an error with code and next step or the append holds, the log opens again, the oracle is clean
and nothing that was answered is lost. ``CIVICLEDGER_FAULTS=full`` runs every call with both errors; ``-s`` prints the
table.
"""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger.errors import LedgerError
from ledger.evidence.checkpoint import Checkpoint
from ledger.log import DepartmentLog, fsck
from tests.faults.strace import Call, calls_of, fail, need_strace
from tests.faults.workload import NOW, ORIGIN, SIZES, batch, records, signer

FULL = os.environ.get("CIVICLEDGER_FAULTS") == "full"
WORKLOAD = "tests.faults.workload"
#: Where a full disk shows itself.
GROWING = {"mkdir", "openat", "write", "pwrite64", "rename"}
CODES = {"log.failed", "log.no-space", "log.read-only", "disk.full", "log.locked"}


def open_log(folder: Path) -> DepartmentLog:
    return DepartmentLog.open(folder, origin=ORIGIN, signer=signer(), clock=lambda: NOW)


def torn(folder: Path) -> None:
    """A folder whose files have ends to be cut: the first append stands, then the process died."""
    log = open_log(folder)
    log.guard(())
    log.append(records(0))
    log.close()
    for name, tail in {"entries.dat": 70, "commits.dat": 11, "batches.dat": 50, "level-0.dat": 64}.items():
        with (folder / name).open("ab") as file:
            file.write(b"\1" * tail)


def select(calls: list[Call], begin: str) -> list[tuple[Call, str]]:
    """Every call with EIO, and with ENOSPC what makes files grow.

    Reduced: each kind of call on each file once, no space where an append or a head meets it, and on the torn folder
    only what recovery alone does.
    """
    if FULL:
        return [(call, "EIO") for call in calls] + [(call, "ENOSPC") for call in calls if call.name in GROWING]
    if begin == "torn":
        kept = {"ftruncate", "fsync", "pread64"}
        return [(c, "EIO") for c in calls if c.number == 1 and c.name in kept and c.path.endswith(".dat")]
    full = [c for c in calls if c.number == 2 and c.name in GROWING and c.path.endswith((".dat", "signed.new"))]
    full += [c for c in calls if c.number == len(SIZES) + 1 and c.name == "pwrite64" and c.path.endswith("entries.dat")]
    return [(c, "EIO") for c in calls if c.number == 1] + [(c, "ENOSPC") for c in full]


# Each case is a process under strace: three hundred of them outlast the bound of a single test.
@pytest.mark.timeout(3_600 if FULL else 900)
@pytest.mark.parametrize("begin", ["empty", "torn"])
def test_each_system_call_of_an_append_fails_once(begin: str, tmp_path: Path) -> None:
    need_strace(tmp_path)
    base = tmp_path / "base"
    if begin == "torn":
        torn(base)
    # A path of one length in every run, so that calls are compared by path.
    calls = calls_of(placed(base, tmp_path / "log-000"), WORKLOAD, tmp_path / "calls")
    kinds = {(call.name, Path(call.path).name) for call in calls}
    assert {("pwrite64", "entries.dat"), ("pwrite64", "commits.dat"), ("fdatasync", "entries.dat")} <= kinds
    assert {("fdatasync", "commits.dat"), ("rename", "signed.new"), ("fsync", "signed.new")} <= kinds
    assert {("ftruncate", "entries.dat"), ("fsync", "entries.dat")} <= kinds, "closing cuts the zeros written ahead"
    cases = select(calls, begin)

    def one(number: int) -> str:
        call, error = cases[number]
        folder = placed(base, tmp_path / f"log-{number + 1:03}")
        there = Call(name=call.name, path=call.path.replace("log-000", folder.name), number=call.number)
        try:
            done = fail(there, error, folder, WORKLOAD, tmp_path / f"strace-{number + 1:03}")
            assert done.returncode == 0, done.stderr
            assert done.stderr == ""
            outcome = judge(folder, done.stdout, begun=begin == "torn")
        except (AssertionError, LedgerError) as problem:
            return f"{call} {error}: FAILED {problem}"
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return f"{call} {error}: {outcome}"

    with ThreadPoolExecutor(max_workers=2) as pool:
        table = list(pool.map(one, range(len(cases))))
    print(*table, sep="\n")
    assert [line for line in table if "FAILED" in line] == []
    assert len(table) >= (8 if begin == "torn" else 30)


def placed(base: Path, folder: Path) -> Path:
    if base.exists():
        shutil.copytree(base, folder)
    return folder


def judge(folder: Path, said: str, *, begun: bool) -> str:
    """What the process said against what the folder holds."""
    lines = [json.loads(line) for line in said.splitlines()]
    done = [line for line in lines if "step" in line]
    heads = [
        Checkpoint(origin=ORIGIN, size=line["signed"], root=bytes.fromhex(line["root"]))
        for line in lines
        if "signed" in line
    ]
    assert "closed" in lines[-1] or lines[-1].get("error") in CODES, lines[-1]
    assert "closed" in lines[-1] or lines[-1]["hint"]
    there = records(0) if begun else []
    log = open_log(folder)
    try:
        log.guard(heads)
        acknowledged = there + [entry for line in done for entry in records(line["step"])]
        assert log.size >= len(acknowledged)
        assert log.read(0, len(acknowledged)) == acknowledged
        # The append without an answer is sent again, as callers do, and stands once.
        for step in range(max(1, len(done)), len(SIZES)):
            log.append(records(step), batch(step))
        log.publish()
    finally:
        log.close()
    report = fsck(folder, seen=heads)
    assert report.ok, report.problems
    first = log_size(there, done)
    assert report.size - first in (0, SIZES[0])
    return str(lines[-1].get("error", "held"))


def log_size(there: list[bytes], done: list[dict[str, int]]) -> int:
    """Records at the end when the first append, which has no batch id, stands as often as it was answered."""
    return len(there) + (SIZES[0] if done else 0) + sum(SIZES[1:])
