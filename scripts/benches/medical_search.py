"""A search over a city's hospitals on one machine: real nodes, each a process of its own, asked over TLS by the asking
hospital's system. Every hospital has reports; a search asks all of them at once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from statistics import median

from ledger.v1 import medical_pb2, medical_pb2_grpc
from node.city import clinic, ward
from scripts.benches.bar_table import Figures, Row, most, plain
from scripts.benches.medical_city import Progress, hospitals

#: Hospitals asked, reports among them, searches measured; the last in small.
HOSPITALS, REPORTS, SEARCHES = (20, 6), (200, 40), (300, 40)
#: The first ones open the channels.
_WARM = 5


def measure(quick: bool, progress: Progress) -> Figures:
    """Seconds of each search, how many hospitals did not answer it, and how many reports it found."""
    count, searches = HOSPITALS[quick], SEARCHES[quick]
    with hospitals(count + 1, progress) as (asker, *others):
        identities = _fill(others, REPORTS[quick], progress)
        ward.findable(asker, identities)
        figures: Figures = {"hospitals": count, "reports": identities.total()}
        figures |= {"seconds": [], "absent": 0, "found": 0, "items": 0}
        stub, names = asker.stub(medical_pb2_grpc.MedicalServiceStub), sorted(identities)
        for number in range(searches + _WARM):
            request = medical_pb2.SearchResultsRequest(
                identity=f"ric:{names[number % len(names)]}",
                purpose=ward.PURPOSE,
                course=ward.COURSE,
                deadline_ms=30_000,
            )
            began = time.perf_counter()
            answer = stub.Search(request, timeout=60)
            took = time.perf_counter() - began
            if number >= _WARM:
                figures["seconds"].append(took)
                figures["absent"] += len(answer.absent)
                figures["found"] += len(answer.reports)
                figures["items"] += sum(len(one.items) for one in answer.reports)
            progress("searches", number, searches + _WARM)
        return figures


def rows(figures: Figures) -> Iterator[Row]:
    """The bar of a search, and what stands beside it."""
    seconds = sorted(figures["seconds"])
    late = seconds[min(len(seconds) - 1, int(len(seconds) * 0.95))]
    note = f"{len(seconds)} searches, {figures['found'] / len(seconds):.1f} reports each, {figures['absent']} absent"
    title = f"search over {figures['hospitals']} hospitals, ms, 95th percentile"
    yield most(title, late * 1_000, 100, "{:,.0f}", note)
    yield plain("search, ms, median", f"{median(seconds) * 1_000:,.0f}")


def _fill(others: list[ward.Connection], count: int, progress: Progress) -> Counter[str]:
    """Reports into the hospitals; whom to search for, and how many reports there are of each."""
    members = [hospital.member for hospital in others]
    sent = [one for one in clinic.reports(members, time.time_ns() // 1_000_000_000, count) if not one.refused]
    done = iter(range(len(sent)))
    ward.take_in(others, sent, lambda _: progress("reports", next(done), len(sent)))
    return Counter(one.identity for one in sent)
