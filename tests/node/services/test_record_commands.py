"""The commands around the record index, at a running node."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from services_city import USCC, City

from ledger.codec import encode_record
from ledger.model import Record
from ledger.storage.openings import Opening
from ledger.v1 import department_pb2 as pb
from ledger.v1.department_pb2_grpc import RecordServiceStub

ROOT = Path(__file__).resolve().parents[3]
#: 2026-03-01 23:59:59.999 and 2026-03-02 00:00:00.000 in Shanghai.
LAST_OF_THE_DAY = int(datetime(2026, 3, 1, 15, 59, 59, 999_000, tzinfo=UTC).timestamp() * 1_000)


#: Runs commands in one process of their own: the nodes of this one write to its standard output.
RUN = """
import json, sys
from typer.testing import CliRunner
from node.cli.records_query import app
done = [CliRunner().invoke(app, words) for words in json.loads(sys.argv[1])]
print(json.dumps([[one.exit_code, one.stdout, repr(one.exception)] for one in done]))
"""


def run(city: City, commands: list[tuple[str, ...]], language: str = "en") -> list[str]:
    """What commands print, one after another; each is (handle, word, …)."""
    words = [[*rest, "--node", str(city.foundings[handle].folder)] for handle, *rest in commands]
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(words)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "CIVICLEDGER_LANG": language, "PYTHONPATH": str(ROOT)},
        timeout=300,
        check=True,
    )
    answers = json.loads(done.stdout)
    assert [status for status, _, _ in answers] == [0] * len(commands), answers
    return [text for _, text, _ in answers]


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
    file = tmp_path / "openings.jsonl"
    lines = [
        {"index": first + 2 * number, "salt": opening.salt.hex(), "subject": opening.subject}
        for number, opening in enumerate(openings)
    ]
    file.write_text("\n".join(json.dumps(line) for line in lines))
    facets = ("list", "--dataset", dataset.hex(), "--type", "access.used")
    commands = {
        "found": ("labour", *facets),
        "newest": ("labour", *facets, "--newest-first", "--limit", "2"),
        "day": ("labour", *facets, "--day", "2026-03-01"),
        "after": ("labour", *facets, "--since", "2026-03-02"),
        "kept": ("labour", "keep-openings", str(file)),
        # An auditor asks the department's node.
        "asked": ("audit", "list", "--member", "labour", "--subject", openings[0].subject),
        "gone": ("labour", "erase-openings", "--basis", "PIPL/47", openings[0].commitment().hex()),
        "asked again": ("audit", "list", "--member", "labour", "--subject", openings[0].subject),
    }
    texts = run(city, [(*words, "--json") for words in commands.values()])
    answers = {name: json.loads(text) for name, text in zip(commands, texts, strict=True)}
    places = {
        name: [row["index"] - first for row in answer["records"]]
        for name, answer in answers.items()
        if name not in ("kept", "gone")
    }
    assert places == {
        "found": [0, 1, 2],
        "newest": [2, 1],
        "day": [0],
        "after": [1, 2],
        "asked": [0, 2],
        "asked again": [2],
    }
    assert [answers[name]["more"] for name in ("found", "newest")] == [False, True]
    assert answers["found"]["records"][0]["body"]["dataset"] == dataset.hex()
    assert answers["found"]["indexed_size"] <= answers["found"]["log_size"]
    assert answers["kept"] == {"openings": 2, "new": 2}
    assert (answers["gone"]["erased"], answers["gone"]["records"]) == (1, 1)

    [shown] = run(city, [("labour", *facets, "--limit", "1")], language="zh")
    # The table's time is that of China.
    assert "2026-03-01 23:59:59" in shown
    assert "仅显示前 1 行" in shown
