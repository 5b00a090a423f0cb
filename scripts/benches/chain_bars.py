"""The bar table of the chain: what was asked for, what one run measured, and whether it is met."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from scripts.benches.bar_table import Figures, Row, least, most, plain

_VALIDATORS = 4


def rows(report: Figures) -> list[Row]:
    """Every row whose measure is in the report."""
    makers: dict[str, Callable[[Figures], Iterator[Row]]] = {
        "contract_writes": _writes,
        "eth_call": _calls,
        "state_growth": _growth,
        "network": lambda network: _network(network, limit(report)),
    }
    return [row for name, make in makers.items() if name in report for row in make(report[name])]


def limit(report: Figures) -> float | None:
    """Writes a second that this machine could execute in four nodes if ordering them cost nothing: its cores by four
    times the processor time that a solo node spends on the same write, measured in the same run (ADR 18)."""
    if "contract_writes" not in report:
        return None
    solo = report["contract_writes"]
    return float(report["hardware"]["cores"] / (_VALIDATORS * solo["cpu_seconds"] / solo["writes"]))


def _writes(got: Figures) -> Iterator[Row]:
    note = f"{got['writes']:,} writes, {got['gas_per_write']:,} gas each, blocks of {got['block']}"
    yield least("solo, contract writes durable per block, writes/s", got["writes_per_second"], 5_000, "{:,.0f}", note)


def _calls(got: Figures) -> Iterator[Row]:
    yield least("eth_call through web3.py in-process, calls/s", got["web3_per_second"], 500, "{:,.0f}")
    note = f"many in one call: {got['call_many_per_second']:,}"
    yield least("eth_call native, one by one, calls/s", got["one_by_one_per_second"], 50_000, "{:,.0f}", note)


def _growth(got: Figures) -> Iterator[Row]:
    small, large = got["small"]["slots_before"], got["large"]["slots_before"]
    figure = f"block of {got['block']} writes, {large:,} against {small:,} slots"
    yield most(figure, got["ratio"], 1.5, "{:.2f} x", f"median of {got['rounds']}; least {got['ratio_of_least']:.2f} x")
    restart = got["restart_of_large"]
    yield plain(f"start with {restart['rows']:,} rows, root recomputed", f"{restart['seconds']:.2f} s")


def _network(got: Figures, most_writes: float | None) -> Iterator[Row]:
    writes, sample = got["writes"], got["sample"]
    generator = f"load generator {writes['generator_cpu_seconds'] / writes['seconds']:.0%} of a core"
    note = f"{writes['writes']:,} writes of {writes['members']} members in {writes['blocks']} blocks; {generator}"
    yield least("four validators, contract writes/s", writes["per_second"], 1_000, "{:,.0f}", note)
    generator = f"load generator {sample['generator_cpu_seconds'] / sample['seconds']:.0%} of a core"
    yield plain(
        "four validators, key-value sample, pairs/s",
        f"{sample['per_second']:,} ({sample['writes']:,} pairs of {sample['bytes']} B; {generator})",
    )
    spent = [1000 * sum(used[place] for used in writes["cpu_seconds"].values()) / writes["writes"] for place in (0, 1)]
    pair = 1000 * sample["validators_cpu_seconds"] / sample["writes"]
    yield plain(
        "processor time, a write: nodes + CometBFTs", f"{spent[0]:.2f} + {spent[1]:.2f} ms (a pair: {pair:.2f} ms)"
    )
    if most_writes is not None:
        note = f"{_VALIDATORS} times the processor time of a solo write, on all cores"
        share = writes["per_second"] / most_writes
        yield least(f"contract writes, share of the limit of {most_writes:,.0f}/s", share, 0.5, "{:.0%}", note)
    yield plain("contract writes, share of the key-value sample", f"{got['share_of_sample']:.0%}")
    pauses = ", ".join(f"{kill['longest_pause_s']:.1f}" for kill in got["one_killed"])
    longest = max(kill["longest_pause_s"] for kill in got["one_killed"])
    yield most("one of four validators killed, longest pause", longest, 5, "{:.1f} s", f"each in turn: {pauses}")
    two = got["two_killed"]
    yield most("two killed, halt explained by doctor after", two["explained_s"], 10, "{:.1f} s", two["finding"][0])
    note = f"from the start of both processes, which serve after {two['serving_again_s']:.1f} s"
    yield most("two killed, writes again after their return", two["moving_again_s"], 15, "{:.1f} s", note)
    yield from _standing(got["idle"], writes)


def _standing(idle: Figures, writes: Figures) -> Iterator[Row]:
    minutes = idle["seconds"] / 60
    yield most(f"idle for {idle['seconds']:.0f} s, chain blocks", idle["chain_blocks"], 0, "{:.0f}")
    # A minute that begins between two heights may see one more than minutes pass.
    allowed = int(minutes) + 1
    yield most(f"idle for {idle['seconds']:.0f} s, consensus heights", idle["consensus_heights"], allowed, "{:.0f}")
    share = max(idle["share_of_core"].values())
    yield most("idle, processor of a node with its CometBFT", share, 0.02, "{:.1%} of a core")
    for what, memory in (("under load", writes["memory_mib"]), ("idle", idle["memory_mib"])):
        parts = [max(node[place]["rss"] for node in memory.values()) for place in (0, 1)]
        yield plain(f"memory, largest node and CometBFT, {what}", f"{parts[0]:.0f} + {parts[1]:.0f} MiB resident")
