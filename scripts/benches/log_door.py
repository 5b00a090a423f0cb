"""The Python part of the log bench: the door into the engine, and checkpoints as a node makes them."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from ledger import _native
from ledger.evidence.checkpoint import parse_checkpoint, parse_note
from ledger.keys import Ed25519Signer
from ledger.log import DepartmentLog
from ledger.model import KeyRole
from scripts.benches.log_native import BATCH, CALLERS, PACE, PUBLISH_MS, RECORD_BYTES, Figures, Progress, Sizes

#: Threads and records a call of the paced load.
_THREADS = 4
_CALL = 100


def measure_door(folder: Path, sizes: Sizes, progress: Progress) -> Figures:
    """Batches of 1,000 through the Python door: lists of bytes in, indices out."""
    figures: Figures = {}
    entries = [os.urandom(RECORD_BYTES) for _ in range(BATCH)]
    for number, callers in enumerate(CALLERS):
        progress(f"Python door, {callers} callers", number, len(CALLERS))
        log = _native.LogEngine.open(str(folder / f"door-{callers}"))
        rounds = sizes.records // BATCH // callers

        def work(log: _native.LogEngine = log, rounds: int = rounds) -> None:
            for _ in range(rounds):
                log.append_batch(entries)

        threads = [threading.Thread(target=work) for _ in range(callers)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - start
        figures[f"{RECORD_BYTES}B raw callers={callers}"] = {
            "records": log.size(),
            "per_second": log.size() / seconds,
        }
        log.close()
    return figures


def measure_published(folder: Path, sizes: Sizes, progress: Progress) -> Figures:
    """From asking to the signed checkpoint that holds the record, through ``ledger.log``, paced at 50,000 records/s.

    Four threads append 100 validated records a call; a call that comes late counts from when it was due.
    """
    progress("checkpoints through ledger.log", 0, 1)
    log = DepartmentLog.open(
        folder / "published",
        origin="civicledger.cn/bench/log/1",
        signer=Ed25519Signer(KeyRole.LOG, os.urandom(32)),
        clock=lambda: time.time_ns() // 1_000_000,
    )
    log.guard(())
    asked: list[tuple[float, int]] = []
    published: list[tuple[float, int]] = []
    done = threading.Event()
    records = [_record(number) for number in range(_CALL)]
    calls = sizes.published_s * PACE // _CALL // _THREADS
    start = time.perf_counter()

    def append(thread: int) -> None:
        for call in range(calls):
            due = start + (call * _THREADS + thread) * _CALL / PACE
            time.sleep(max(0.0, due - time.perf_counter()))
            first, count = log.append(records)
            asked.append((due, first + count))

    def publish() -> None:
        while True:
            ended = done.wait(PUBLISH_MS / 1_000)
            size = parse_checkpoint(parse_note(log.publish()).text).size
            published.append((time.perf_counter(), size))
            if ended:
                return

    publisher = threading.Thread(target=publish)
    threads = [threading.Thread(target=append, args=(number,)) for number in range(_THREADS)]
    for thread in (publisher, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    done.set()
    publisher.join()
    size = log.size
    log.close()
    waits = sorted(next(at for at, covered in published if covered >= end) - due for due, end in asked)
    return {
        "records": size,
        "per_second": size / seconds,
        "checkpoints": len(published),
        "p50_ms": waits[len(waits) // 2] * 1e3,
        "p99_ms": waits[len(waits) * 99 // 100] * 1e3,
    }


def _record(number: int) -> bytes:
    head = b'{"body":{"matter":"%012d-' % number
    tail = b'"},"member":"11310000MB2F30000X","time":"2026-11-22T03:41:45.684Z","type":"access.used","v":1}'
    return head + b"x" * (RECORD_BYTES - len(head) - len(tail)) + tail
