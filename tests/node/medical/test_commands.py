"""``civicledger medical``: a doctor's desk on the command line, against running nodes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from medical_city import ROOT, USCC, City, bundle

#: Runs commands in one process of their own: the nodes of this one write to its standard output.
WORKER = """
import json, sys
from typer.testing import CliRunner
from node.cli.main import build
tree, streams = build(["medical"]), (sys.stdin, sys.stdout)
for line in streams[0]:
    words, typed = json.loads(line)
    done = CliRunner().invoke(tree, words, input=typed)
    answer = [done.exit_code, done.stdout, getattr(done.exception, "code", None), repr(done.exception)]
    print(json.dumps(answer), file=streams[1], flush=True)
"""


class Desk:
    """Commands of one hospital."""

    def __init__(self, city: City, handle: str, language: str) -> None:
        environment = {
            **os.environ,
            "CIVICLEDGER_LANG": language,
            "CIVICLEDGER_NODE": str(city.foundings[handle].folder),
            "PYTHONPATH": str(ROOT),
            "PYTHONIOENCODING": "utf-8",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=environment,
        )

    def __call__(self, *words: str, typed: str = "") -> tuple[int, str, str | None]:
        """(exit status, standard output, code of the refusal)."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([["medical", *words], typed]) + "\n")
        self.process.stdin.flush()
        status, printed, code, failure = json.loads(self.process.stdout.readline())
        assert code is not None or status in (0, 1), failure
        return status, printed, code

    def value(self, *words: str, typed: str = "") -> Any:
        """The JSON document a command prints."""
        status, printed, code = self(*words, "--json", typed=typed)
        assert (status, code) == (0, None), printed
        return json.loads(printed)

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(300)


@pytest.mark.parametrize(("language", "words"), [("en", ("recognisable", "opened")), ("zh", ("可否互认", "调阅"))])
def test_a_doctors_desk(clinic: City, tmp_path: Path, language: str, words: tuple[str, str]) -> None:
    who = clinic.patient()
    offer = clinic.report("west", who, "wbc", "haemoglobin")
    file = tmp_path / "report.json"
    desk = Desk(clinic, "east", language)
    try:
        found = desk.value("search", "-", "--deadline", "60000", typed=who + "\n")
        assert [one["report"] for one in found["reports"]] == [offer.report.hex()]
        assert [item["recognisable"] for item in found["reports"][0]["items"]] == [True, True]
        assert words[0] in desk("search", who)[1]
        opened = desk.value("open", "west", offer.report.hex(), "-o", str(file))
        assert file.read_bytes() == bundle(who, offer)
        assert file.stat().st_mode & 0o777 == 0o600
        assert desk("open", "west", offer.report.hex(), "-o", str(file))[2] == "output.exists"
        step = opened["step"]["step"]
        assert desk.value("recognise", step[:16], "--item", "0")["items"] == [{"place": 0, "item": "wbc"}]
        assert desk("retest", step, "--reason", "because")[2] == "medical.retest-reason"
        assert desk.value("retest", step, "--reason", "emergency")["reason"] == "emergency"
        assert [one["kind"] for one in desk.value("list", "--report", offer.report.hex())] == [
            "open",
            "recognise",
            "retest",
        ]
        assert words[1] in desk("list")[1]
        clinic.said_otherwise("west", offer, 0, item="rbc")
        otherwise = desk.value("open", "west", offer.report.hex())["step"]
        assert otherwise["differing"] == [0]
        assert desk("recognise", otherwise["step"], "--item", "0")[2] == "medical.offer-differs"
        assert step in {one["step"] for one in desk.value("list")}
        table = tmp_path / "figures.csv"
        figures = desk.value("statistics", "--check", "--csv", str(table))
        assert figures["records"] == "same"
        assert any(row["by"] == "provider" and row["key"] == USCC["west"] for row in figures["figures"])
        assert "haemoglobin" in table.read_text("utf-8-sig")
        assert desk("statistics")[0] == desk("changes")[0] == 0
        assert desk("search", who, "--course", "subacute")[2] == "medical.course"
    finally:
        desk.close()
