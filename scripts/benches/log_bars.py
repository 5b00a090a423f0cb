"""The bar table of the department log: what was asked for, what one run measured, and whether it is met."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from scripts.benches.bar_table import Row, least, most, plain
from scripts.benches.log_native import CALLERS, ENTRY_SIZES, Figures


def rows(report: Figures) -> list[Row]:
    """Every row whose measure is in the report."""
    makers: dict[str, Callable[[Figures], Iterator[Row]]] = {
        "batches": _batches,
        "grpc": _grpc,
        "single": _single,
        "published": _published,
        "large": _large,
    }
    return [row for name, make in makers.items() if name in report for row in make(report[name])]


def _batches(batches: Figures) -> Iterator[Row]:
    for size in ENTRY_SIZES:
        for kind, bar in (("raw", 1_000_000), ("validated", 400_000)):
            by_callers = {callers: batches[f"{size}B {kind} callers={callers}"] for callers in CALLERS}
            best = max(by_callers, key=lambda callers: by_callers[callers]["per_second"])
            others = ", ".join(
                f"{callers}: {by_callers[callers]['per_second']:,.0f}" for callers in CALLERS if callers != best
            )
            figure = f"batches of 1,000, {size} B {kind}, records/s"
            value, note = by_callers[best]["per_second"], f"{_callers(best)}; with {others}"
            if (size, kind) == (600, "raw"):
                yield plain(figure, f"{value:,.0f} ({note})")
            else:
                yield least(figure, value, bar, "{:,.0f}", note)
            for callers, got in by_callers.items():
                figure = f"share of the physical limit, {size} B {kind}, {_callers(callers)}"
                share, limit = got["share_of_physical"], f"limit {got['physical']['limit_per_second']:,.0f}/s"
                if (size, kind) == (200, "raw"):
                    yield least(figure, share, 0.6, "{:.0%}", limit)
                else:
                    yield plain(figure, f"{share:.0%} ({limit})")


def _grpc(grpc: Figures) -> Iterator[Row]:
    best = max(("unary", "stream"), key=lambda way: float(grpc[way]["per_second"]))
    note = ", ".join(f"{way} {grpc[way]['per_second']:,.0f}" for way in ("unary", "stream"))
    yield least("gRPC, one connection, records/s", grpc[best]["per_second"], 250_000, "{:,.0f}", note)


def _single(single: Figures) -> Iterator[Row]:
    alone = single["alone"]
    yield least("single records, 64 callers, records/s", alone["per_second"], 50_000, "{:,.0f}")
    yield most(
        "single records, 64 callers, p99", alone["p99_us"] / 1e3, 20, "{:.1f} ms", f"p50 {alone['p50_us'] / 1e3:.1f}"
    )
    for name, text in (("publishing", "unpaced"), ("publishing_paced", "paced at 50,000/s")):
        got = single[name]
        note = f"{got['per_second']:,.0f} records/s, answers p99 {got['p99_us'] / 1e3:.1f} ms"
        yield most(f"record to published, {text}, p99", got["published"]["p99_us"] / 1e6, 1, "{:.2f} s", note)


def _published(published: Figures) -> Iterator[Row]:
    note = f"{published['per_second']:,.0f} records/s"
    yield most("record to published, ledger.log paced, p99", published["p99_ms"] / 1e3, 1, "{:.2f} s", note)


def _large(large: Figures) -> Iterator[Row]:
    for leaves, got in large.items():
        at, proofs = f"at {int(leaves):,} leaves", got["proofs"]
        for what, bar in (("make", 200.0), ("check", 20.0)):
            times = proofs[f"inclusion_{what}"]
            yield most(f"inclusion proof {what} {at}, p50", times["p50_us"], bar, "{:.1f} µs", _p99(times))
    sizes = sorted(large, key=int)
    first, last = (large[leaves]["proofs"] for leaves in (sizes[0], sizes[-1]))
    growth = last["inclusion_make"]["p50_us"] / first["inclusion_make"]["p50_us"]
    read = _hashes_read(int(sizes[-1])) / _hashes_read(int(sizes[0]))
    note = f"{growth:.2f} times as long, {read:.2f} times as many hashes read"
    yield most("growth of making a proof, beside the tiles it reads", growth / read, 1.25, "{:.2f}", note)
    biggest = large[sizes[-1]]
    at = f"at {int(sizes[-1]):,} leaves"
    memory = max(part["anonymous_mib"] for part in biggest.values())
    yield most(f"anonymous memory {at}", memory, 300, "{:.0f} MiB")
    yield most(f"start after a clean stop {at}", biggest["start_after_clean_stop"]["seconds"], 1, "{:.2f} s")
    yield most(f"start after a kill {at}", biggest["start_after_kill"]["seconds"], 5, "{:.2f} s")


def _hashes_read(leaves: int) -> int:
    """Hashes in the tiles of one proof: a tile of each level on the way up, and of each level the one that is not full,
    which the right edge of the tree is made of (the same tile where a level has one only)."""
    counts = (leaves >> 8 * level for level in range(8))
    return sum(count if count <= 256 else 256 + count % 256 for count in counts)


def _p99(times: Figures) -> str:
    return f"p99 {times['p99_us']:.1f}"


def _callers(number: int) -> str:
    return f"{number} caller" if number == 1 else f"{number} callers"
