"""A node killed in the middle of an import: the command waits for it, and every line stands in the log once."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import pytest

from ledger._native import LogReader
from ledger.log import fsck
from node.city.found import init_city
from node.city.processes import CityProcesses
from node.city.roster import demo_roster
from node.cli import record
from node.cli.record import Format, add
from node.cli.recordstream import BatchSender
from tests.node.core.makers import eventually

LINES = 40_000
#: Batches answered when the node dies; at least as many are still to come.
KILL_AT = 15


def test_an_import_survives_the_node_s_death(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "uses.jsonl"
    # Without a time: a repeat is only known because the same run made the same bytes.
    rows = ({"type": "erasure.done", "body": {"basis": f"b-{n}", "commitment": f"{n:064x}"}} for n in range(LINES))
    file.write_text("\n".join(map(json.dumps, rows)))
    founder = next(one for one in demo_roster("310000") if one.sequencer)
    city = init_city(tmp_path / "city", [founder], chain_id=31_337)
    home = city.member_folder(founder.handle)
    original, answered = BatchSender._settle, 0
    printed: list[dict[str, object]] = []
    with CityProcesses(city) as first, CityProcesses(city) as second:
        again = threading.Thread(target=second.start_nodes)

        def settle(self: BatchSender, index: int | None) -> None:
            nonlocal answered
            original(self, index)
            answered += 1
            if answered == KILL_AT:
                # Only the process: what it had begun is in its log, or is not.
                os.kill(first.pids()[founder.handle], signal.SIGKILL)
                eventually(first.ended)
                again.start()

        first.start_nodes()
        monkeypatch.setattr(BatchSender, "_settle", settle)
        # Not from standard output, where nodes of other tests in this process may have logged.
        monkeypatch.setattr(record, "print_json", printed.append)
        add(
            files=[file],
            node=home,
            _format=Format.jsonl,
            resume=None,
            skip_bad=None,
            patience=600,
            as_json=True,
        )
        again.join()
    (done,) = printed
    assert (done["count"], done["refused"]) == (LINES, 0)
    report = fsck(home / "log")
    assert report.ok
    entries = LogReader.open(str(home / "log"), report.size).read(0, report.size)
    bodies = [json.loads(entry)["body"] for entry in entries if b'"erasure.done"' in entry]
    assert [body["basis"] for body in bodies] == [f"b-{number}" for number in range(LINES)]
