"""Reports in FHIR R4 read, and taken in, against the rate at which ``fhir.resources`` validates the same reports alone.

Validation is measured as its users call it, from the bytes and from parsed JSON, and the faster way is the measure.
Reading is all that is done to a report before it is kept: bounded parsing with every decimal as it was written,
validation, references, patient, times, units, items. Taking in is the whole: over gRPC at a node, judged by the rules
in force, sealed under the patient's key, on record and offered, durable, each when it is answered.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from ledger.medical.fhir import read_report
from ledger.medical.rules import load_rules, starting_rules
from ledger.v1 import reports_pb2
from ledger.v1.reports_pb2_grpc import ReportServiceStub
from node.city import clinic
from node.city.roster import demo_uscc
from scripts.benches.bar_table import Figures, Row, least, plain
from scripts.benches.medical_city import REGION, Progress, hospitals

#: Reports, rounds over them, and reports taken in; the last in small. Before those, so many that start the node's
#: readers and load the library's models there. Senders at a time.
REPORTS, ROUNDS, TAKEN, FIRST = (300, 100), (7, 3), (3_000, 240), (1_000, 240)
SENDERS = 4
BAR = 60.0
#: HL7's own large example: 130 kB with its narrative, of the folder that the environment names.
_EXAMPLE = Path("fhir-r4-examples", "Bundle-101.json")


def measure(quick: bool, progress: Progress) -> Figures:
    """Seconds of each round of validation and of reading, over the city's reports and HL7's example; of taking in."""
    now_s = time.time_ns() // 1_000_000_000
    hospital = demo_uscc(REGION, 402)
    sets = {"city": [one.data for one in clinic.reports([hospital], now_s, REPORTS[quick]) if not one.refused]}
    vectors = os.environ.get("CIVICLEDGER_VECTORS", "")
    if vectors and (Path(vectors) / _EXAMPLE).is_file():
        sets["example"] = [(Path(vectors) / _EXAMPLE).read_bytes()] * 20
    figures: Figures = {"senders": SENDERS, "sets": {}}
    for name, reports in sets.items():
        figures["sets"][name] = _rounds(reports, hospital, now_s, ROUNDS[quick], progress)
    figures |= _take_in(now_s, FIRST[quick], TAKEN[quick], progress)
    return figures


def rows(figures: Figures) -> Iterator[Row]:
    """The bar, for reading and for the whole way in, and the rates behind it."""
    names = {"city": "the city's reports", "example": "HL7's Bundle 101"}
    for name, one in figures["sets"].items():
        alone = _alone(one)
        note = f"{one['reports'] / median(one['read_s']):,.0f} of {alone:,.0f} reports/s"
        share = 100 * one["reports"] / median(one["read_s"]) / alone
        yield least(f"reading {names[name]}, % of the rate of fhir.resources alone", share, BAR, "{:.0f}", note)
    rate, alone = figures["taken"] / figures["taken_s"], _alone(figures["sets"]["city"])
    note = f"{rate:,.0f} of {alone:,.0f} reports/s, {figures['senders']} senders, durable"
    yield least(
        "taken in whole at a node, % of the rate of fhir.resources alone", 100 * rate / alone, BAR, "{:.0f}", note
    )
    yield plain(
        "reports read a second",
        f"{figures['sets']['city']['reports'] / median(figures['sets']['city']['read_s']):,.0f}",
    )


def _alone(one: Figures) -> float:
    """Reports a second by the library alone, the faster of its two ways."""
    return float(one["reports"]) / min(median(one["bytes_s"]), median(one["parsed_s"]))


def _rounds(reports: Sequence[bytes], hospital: str, now_s: int, rounds: int, progress: Progress) -> Figures:
    from fhir.resources.R4B import get_fhir_model_class

    model: Any = get_fhir_model_class("Bundle")
    rules = load_rules(starting_rules(), units=False)
    ways: dict[str, Callable[[bytes], object]] = {
        "bytes_s": model.model_validate_json,
        "parsed_s": lambda data: model.model_validate(json.loads(data)),
        "read_s": lambda data: read_report(data, institution=hospital, now_s=now_s, rules=rules),
    }
    figures: Figures = {"reports": len(reports), "bytes": sum(map(len, reports))} | {name: [] for name in ways}
    # The first round loads the models. Each report goes all ways in turn: whatever else the machine does falls
    # on all of them.
    for number in range(rounds + 1):
        progress("validation, reading", number, rounds + 1)
        took = dict.fromkeys(ways, 0.0)
        for data in reports:
            for name, do in ways.items():
                began = time.perf_counter()
                do(data)
                took[name] += time.perf_counter() - began
        for name, seconds in took.items():
            if number:
                figures[name].append(seconds)
    return figures


def _take_in(now_s: int, first: int, count: int, progress: Progress) -> Figures:
    with hospitals(1, progress) as (hospital,):
        # A little more, for some of them are refused.
        made = clinic.reports([hospital.member], now_s, (first + count) * 6 // 5)
        sent = [one.data for one in made if not one.refused]
        stub = hospital.stub(ReportServiceStub)
        done = iter(range(1 << 31))

        def send(reports: Sequence[bytes]) -> int:
            requests = (reports_pb2.IngestReportRequest(fhir=data) for data in reports)
            kept = 0
            for answer in stub.IngestStream(requests, timeout=600):
                kept += answer.state in ("offered", "held")
                progress("taking in", next(done), first + count)
            return kept

        def send_all(reports: Sequence[bytes]) -> None:
            kept = sum(pool.map(send, [reports[place::SENDERS] for place in range(SENDERS)]))
            if kept != len(reports):
                raise SystemExit(f"bench medical: {len(reports) - kept} of {len(reports)} reports were not taken in")

        with ThreadPoolExecutor(SENDERS) as pool:
            send_all(sent[:first])
            began = time.perf_counter()
            send_all(sent[first : first + count])
            took = time.perf_counter() - began
        return {"taken": count, "taken_s": took}
