"""What a node does with its log, in a process of its own: open, append, sign, stop. One JSON line per answer.

``python -m tests.faults.workload FOLDER``. Ends with exit code 0 also after a refusal, which is a line with its code.
"""

from __future__ import annotations

import json
import sys

from ledger import codec
from ledger.errors import LedgerError
from ledger.evidence.checkpoint import parse_checkpoint, parse_note
from ledger.keys import Ed25519Signer
from ledger.log import DepartmentLog
from ledger.model import KeyRole, format_time

ORIGIN = "310000.data.civicledger/log"
NOW = 1_790_000_000_000
#: Records of each append: a full tile is crossed, so that two levels are written; the fourth of a run of small commits
#: writes zeros ahead, which closing cuts.
SIZES = (3, 260, 2, 1)


def signer() -> Ed25519Signer:
    """The log's key."""
    return Ed25519Signer(KeyRole.LOG, b"\7" * 32)


def records(step: int) -> list[bytes]:
    """The canonical records of one append."""
    return [
        codec.encode(
            {
                "body": {"version": f"0.{step}.{number}"},
                "member": "91110000600037341L",
                "time": format_time(NOW),
                "type": "system.started",
                "v": 1,
            }
        )
        for number in range(SIZES[step])
    ]


def batch(step: int) -> bytes | None:
    """The batch id of an append; the first has none."""
    return bytes([step]) * 16 if step else None


def say(**line: object) -> None:
    """One answer, as soon as it is given."""
    print(json.dumps(line), flush=True)


def work(folder: str) -> None:
    """All of it."""
    log = DepartmentLog.open(folder, origin=ORIGIN, signer=signer(), clock=lambda: NOW)
    try:
        log.guard(())
        for step in range(len(SIZES)):
            first, count = log.append(records(step), batch(step))
            say(step=step, first=first, count=count)
            if step in (0, 2):
                head = parse_checkpoint(parse_note(log.publish()).text)
                say(signed=head.size, root=head.root.hex())
    finally:
        log.close()
    say(closed=True)


if __name__ == "__main__":
    try:
        work(sys.argv[1])
    except LedgerError as error:
        say(error=error.code, message=error.message, hint=error.hint)
