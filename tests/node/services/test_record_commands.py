"""The commands around the record index, at a running node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services_city import USCC, City

from ledger.codec import encode_record
from ledger.model import Record
from ledger.storage.openings import Opening
from ledger.v1 import department_pb2 as pb
from ledger.v1.department_pb2_grpc import RecordServiceStub

ROOT = Path(__file__).resolve().parents[3]
#: 2026-03-01 23:59:59.999 and 2026-03-02 00:00:00.000 in Shanghai.
LAST_OF_THE_DAY = int(datetime(2026, 3, 1, 15, 59, 59, 999_000, tzinfo=UTC).timestamp() * 1_000)


def command(city: City, handle: str, *words: str, language: str = "en") -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "CIVICLEDGER_LANG": language, "PYTHONPATH": str(ROOT)}
    environment["CIVICLEDGER_NODE"] = str(city.foundings[handle].folder)
    return subprocess.run(
        [sys.executable, "-m", "node.cli.main", "record", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=120,
        check=False,
    )


def answered(city: City, handle: str, *words: str) -> Any:
    done = command(city, handle, *words, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_records_are_found_by_facets_days_and_subject(city: City, tmp_path: Path) -> None:
    dataset = os.urandom(32)
    openings = [Opening(index=0, salt=os.urandom(32), subject=f"P-{dataset.hex()[:8]}") for _ in range(2)]
    bodies: list[dict[str, str]] = [{"commitment": openings[0].commitment().hex()}, {}, {}]
    bodies[2] = {"commitment": openings[1].commitment().hex()}
    records = [
        encode_record(
            Record(
                type="access.used",
                member=USCC["labour"],
                time_ms=LAST_OF_THE_DAY + number,
                body={
                    "matter": "310100-AID-7",
                    "operator": "0f" * 32,
                    "purpose": "social-aid",
                    "system": "aid-desk",
                    "dataset": dataset.hex(),
                    **body,
                },
            )
        )
        for number, body in enumerate(bodies)
    ]
    first = city.stub(RecordServiceStub, "labour").Append(pb.AppendRequest(records=records)).first
    facets = ("list", "--dataset", dataset.hex(), "--type", "access.used")

    found = answered(city, "labour", *facets)
    assert [row["index"] for row in found["records"]] == [first, first + 1, first + 2]
    assert found["records"][0]["body"]["dataset"] == dataset.hex()
    assert found["indexed_size"] <= found["log_size"]
    assert not found["more"]
    newest = answered(city, "labour", *facets, "--newest-first", "--limit", "2")
    assert [row["index"] for row in newest["records"]] == [first + 2, first + 1]
    assert newest["more"]
    day = answered(city, "labour", *facets, "--day", "2026-03-01")
    assert [row["index"] for row in day["records"]] == [first]
    after = answered(city, "labour", *facets, "--since", "2026-03-02")
    assert [row["index"] for row in after["records"]] == [first + 1, first + 2]

    file = tmp_path / "openings.jsonl"
    lines = [
        {"index": first + 2 * number, "salt": opening.salt.hex(), "subject": opening.subject}
        for number, opening in enumerate(openings)
    ]
    file.write_text("\n".join(json.dumps(line) for line in lines))
    assert answered(city, "labour", "keep-openings", str(file)) == {"openings": 2, "new": 2}
    # An auditor asks the department's node.
    asked = ("list", "--member", "labour", "--subject", openings[0].subject)
    assert [row["index"] for row in answered(city, "audit", *asked)["records"]] == [first, first + 2]
    gone = answered(city, "labour", "erase-openings", "--basis", "PIPL/47", openings[0].commitment().hex())
    assert (gone["erased"], gone["records"]) == (1, 1)
    assert [row["index"] for row in answered(city, "audit", *asked)["records"]] == [first + 2]

    shown = command(city, "labour", *facets, "--limit", "1", language="zh")
    assert shown.returncode == 0
    # The table's time is that of China.
    assert "2026-03-01 23:59:59" in shown.stdout
    assert "仅显示前 1 行" in shown.stdout
