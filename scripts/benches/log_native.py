"""The native part of the log bench: runs ``native/examples/log_bench`` and puts the physical limit beside it."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
BATCH = 1_000
RECORD_BYTES = 200
ENTRY_SIZES = (200, 600)
CALLERS = (1, 4, 16)
SINGLE_CALLERS = 64
#: Records a second of the paced load: the bar of single-record appends.
PACE = 50_000
#: Milliseconds between checkpoints, as ``checkpoint_interval`` of a node.
PUBLISH_MS = 250

Figures = dict[str, Any]
#: Told what is being measured and how far it is: (text, done, total).
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured."""

    records: int
    single: int
    leaves: tuple[int, ...]
    proofs: int
    grpc: int
    published_s: int

    def disk_bytes(self) -> int:
        """What the largest scratch folder takes: entries, hashes, index and room for what is being written."""
        large = max(self.leaves) * (RECORD_BYTES + 2 + 33)
        batches = self.records * (max(ENTRY_SIZES) + 2) * 2
        return max(large, batches) + (1 << 30)


@cache
def helper() -> Path:
    """The native helper of this bench."""
    return example("log_bench")


def example(name: str) -> Path:
    """A native helper, built when it is not there or older than its sources."""
    command = ["cargo", "build", "-q", "--release", "--locked", "--no-default-features", "--example", name]
    command += ["--manifest-path", "native/Cargo.toml", "--message-format=json"]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout.splitlines()
    made = [json.loads(line) for line in lines if f'"{name}"' in line]
    return Path(next(line["executable"] for line in made if line.get("executable")))


def native(
    what: str, folder: Path, *, dies: bool = False, done: Callable[[int], None] | None = None, **arguments: int
) -> Figures:
    """One run of the helper in ``folder``; ``dies``: it ends by a signal; ``done`` hears how far a long one is."""
    words = [f"folder={folder}", *(f"{name}={value}" for name, value in arguments.items())]
    process = subprocess.Popen([str(helper()), what, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    said: list[str] = []

    def listen() -> None:
        for line in process.stderr or ():
            word, _, number = line.strip().partition(" ")
            if word != "progress":
                said.append(line)
            elif done is not None:
                done(int(number))

    listener = threading.Thread(target=listen)
    listener.start()
    answer = process.stdout.read() if process.stdout else ""
    listener.join()
    if process.wait() != 0 and not dies:
        raise SystemExit(f"log_bench {what} failed: {''.join(said).strip()}")
    figures: Figures = json.loads(answer)
    return figures


def measure_batches(folder: Path, sizes: Sizes, progress: Progress) -> Figures:
    """Durable batches of 1,000, raw and validated, each between two halves of the physical limit of the same bytes."""
    figures: Figures = {}
    runs = [(size, check, callers) for size in ENTRY_SIZES for check in (0, 1) for callers in CALLERS]
    for number, (size, check, callers) in enumerate(runs):
        name = f"{size}B {'validated' if check else 'raw'} callers={callers}"
        progress(f"batches {name}", number, len(runs))
        figures[name] = measure_batch(folder / f"{size}-{check}-{callers}", size, check, callers, sizes.records)
    return figures


def measure_batch(run: Path, size: int, check: int, callers: int, records: int) -> Figures:
    """One row: the limit in chunks of the commits' mean size, half of it before and half after the appends."""
    half = records // 2
    run.mkdir()
    native("stream", run, size=size, records=half // 10, chunk=BATCH)  # the folder's first bytes are not typical
    guess = BATCH * max(1, callers // 2)
    before = native("stream", run, size=size, records=half, chunk=guess)
    got = native(
        "append", run, size=size, records=records, batch=BATCH, callers=callers, check=check, rate=0, publish_ms=0
    )
    chunk = max(BATCH, got["records"] // got["commits"])
    after = native("stream", run, size=size, records=half, chunk=chunk)
    shutil.rmtree(run)
    limit = 2 / (1 / before["limit_per_second"] + 1 / after["limit_per_second"])
    return got | {
        "physical": {"before": before, "after": after, "limit_per_second": limit},
        "share_of_physical": got["per_second"] / limit,
    }


def measure_single(folder: Path, sizes: Sizes, progress: Progress) -> Figures:
    """Single records from 64 native callers: as fast as it goes, then beside checkpoints, unpaced and paced."""
    figures: Figures = {}
    cases = {"alone": (0, 0), "publishing": (0, PUBLISH_MS), "publishing_paced": (PACE, PUBLISH_MS)}
    for number, (name, (rate, publish)) in enumerate(cases.items()):
        progress(f"single records, {name}", number, len(cases))
        run = folder / name
        figures[name] = native(
            "append",
            run,
            size=RECORD_BYTES,
            records=sizes.single,
            batch=1,
            callers=SINGLE_CALLERS,
            check=0,
            rate=rate,
            publish_ms=publish,
        )
        shutil.rmtree(run)
    return figures


def measure_large(folder: Path, sizes: Sizes, progress: Progress) -> Figures:
    """One log grown from size to size; at each: start after a kill and after a clean stop, memory, proofs."""
    figures: Figures = {}
    run = folder / "large"
    for leaves in sizes.leaves:
        grown = native(
            "grow",
            run,
            dies=True,
            done=lambda number: progress("growing the large log", number, max(sizes.leaves)),
            size=RECORD_BYTES,
            records=leaves,
        )
        progress(f"starts and proofs at {leaves:,} leaves", leaves, max(sizes.leaves))
        figures[str(leaves)] = {
            "grown": grown,
            "start_after_kill": native("close", run),
            "start_after_clean_stop": native("close", run),
            "proofs": native("proofs", run, proofs=sizes.proofs),
        }
    return figures
