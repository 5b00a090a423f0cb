"""A department log with its signer and a clock that stands still."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ledger import codec
from ledger.keys import Ed25519Signer
from ledger.log import DepartmentLog
from ledger.model import KeyRole, format_time

ORIGIN = "310000.data.civicledger/log"
NOW = 1_790_000_000_000

Open = Callable[[], DepartmentLog]


def record(number: int) -> bytes:
    """A canonical record, different for every number."""
    body = {"version": f"0.1.{number}"}
    return codec.encode(
        {"body": body, "member": "91110000600037341L", "time": format_time(NOW), "type": "system.started", "v": 1}
    )


@pytest.fixture
def signer() -> Ed25519Signer:
    return Ed25519Signer(KeyRole.LOG, b"\7" * 32)


@pytest.fixture
def open_log(tmp_path: Path, signer: Ed25519Signer) -> Iterator[Open]:
    """Opens the test's one folder; what is still open at the end is closed."""
    opened: list[DepartmentLog] = []

    def do() -> DepartmentLog:
        log = DepartmentLog.open(tmp_path / "log", origin=ORIGIN, signer=signer, clock=lambda: NOW)
        opened.append(log)
        return log

    yield do
    for log in opened:
        log.close()


@pytest.fixture
def log(open_log: Open) -> DepartmentLog:
    made = open_log()
    made.guard(())
    return made
