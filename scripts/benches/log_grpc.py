"""Measures appends through a node's gRPC: a real node process, mutual TLS, one connection, batches of 1,000 of 200 B.

``python -m scripts.benches.log_grpc [RECORDS]``, or as a part of ``scripts/bench log``. The client is this process, the
node another: both share the machine's cores, as the figures must be read. Records are made before the clock starts.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from ledger import _native
from ledger.bulk import BulkSchema
from ledger.v1 import department_pb2 as pb
from ledger.v1 import department_pb2_grpc as rpc
from node.city.found import init_city
from node.city.processes import CityProcesses
from node.city.roster import demo_roster
from node.config import load_config
from node.identity.keyfiles import read_passphrase
from node.identity.keyring import KeyRing
from node.identity.peers import PeerBook
from node.rpc.errors import CODE_KEY

BATCH = 1_000
#: Requests a writer sends ahead of the answers, as ``civicledger record add`` does.
WINDOW = 8
#: Callers of the unary measure over one connection.
CALLERS = 4
SIZE = 200
_OPEN_S = 60.0

Figures = dict[str, Any]


def measure(folder: Path, records: int) -> Figures:
    """Rates (records/s) and milliseconds a batch of unary and streaming appends, and what a batch costs each side.

    ``folder``: scratch space for the node; ``records``: how many are appended in each way.
    """
    founder = next(founder for founder in demo_roster("310000") if founder.sequencer)
    city = init_city(folder / "city", [founder], chain_id=31_337)
    home = city.member_folder(founder.handle)
    config = load_config(home)
    keys = KeyRing(config.keys_folder, founder.uscc, read_passphrase(home, config.passphrase_file, os.environ))
    batches = make_batches(founder.uscc, records)
    with CityProcesses(city) as processes:
        processes.start_nodes()
        book = PeerBook(config.peers_file, keys.identity)
        try:
            stub = rpc.RecordServiceStub(book.channel(founder.uscc))
            pid = processes.pids()[founder.handle]
            _await_open(stub, batches[0])
            figures = {
                "unary": _timed(pid, len(batches), lambda marks: _unary(stub, batches, marks)),
                f"unary callers={CALLERS}": _timed(pid, len(batches), lambda marks: _callers(stub, batches, marks)),
                "stream": _timed(pid, len(batches), lambda marks: _stream(stub, batches, marks)),
            }
        finally:
            book.close()
    figures |= {"batch": BATCH, "record_bytes": SIZE, "window": WINDOW, "split": _split(folder / "alone", batches)}
    return figures


def make_batches(member: str, records: int) -> list[list[bytes]]:
    """Canonical records of exactly ``SIZE`` bytes, each one different."""
    head, tail = b'{"body":{"basis":"', b'","commitment":"'
    end = f'"}},"member":"{member}","time":"2026-11-22T03:41:45.684Z","type":"erasure.done","v":1}}'.encode()
    basis = b"b" * (SIZE - len(head) - len(tail) - 64 - len(end))
    made = [head + basis + tail + b"%064x" % number + end for number in range(records)]
    return [made[at : at + BATCH] for at in range(0, records, BATCH)]


def _await_open(stub: Any, batch: list[bytes]) -> None:
    deadline = time.monotonic() + _OPEN_S
    while True:
        try:
            stub.Append(pb.AppendRequest(records=batch), timeout=10)
        except grpc.RpcError as error:
            starting = dict(error.trailing_metadata() or ()).get(CODE_KEY) in ("node.starting", "log.unguarded")
            if not starting or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _unary(stub: Any, batches: list[list[bytes]], marks: list[float]) -> None:
    for batch in batches:
        began = time.perf_counter()
        stub.Append(pb.AppendRequest(records=batch, batch=os.urandom(16)), timeout=60)
        marks.append(time.perf_counter() - began)


def _callers(stub: Any, batches: list[list[bytes]], marks: list[float]) -> None:
    """Several callers of one connection."""
    with ThreadPoolExecutor(CALLERS) as pool:
        shares = [batches[at::CALLERS] for at in range(CALLERS)]
        for done in [pool.submit(_unary, stub, share, marks) for share in shares]:
            done.result()


def _stream(stub: Any, batches: list[list[bytes]], marks: list[float]) -> None:
    room = threading.Semaphore(WINDOW)
    sent: list[float] = []

    def requests() -> Iterator[pb.AppendRequest]:
        for batch in batches:
            room.acquire()
            sent.append(time.perf_counter())
            yield pb.AppendRequest(records=batch, batch=os.urandom(16))

    for number, _answer in enumerate(stub.AppendStream(requests(), timeout=600)):
        marks.append(time.perf_counter() - sent[number])
        room.release()


def _timed(pid: int, batches: int, run: Any) -> Figures:
    marks: list[float] = []
    client, node = _own_cpu(), _cpu(pid)
    began = time.perf_counter()
    run(marks)
    seconds = time.perf_counter() - began
    marks.sort()
    return {
        "records": batches * BATCH,
        "per_second": batches * BATCH / seconds,
        "batch_p50_ms": marks[len(marks) // 2] * 1e3,
        "batch_p99_ms": marks[min(len(marks) - 1, len(marks) * 99 // 100)] * 1e3,
        "node_cpu_ms_per_batch": (_cpu(pid) - node) / batches * 1e3,
        "client_cpu_ms_per_batch": (_own_cpu() - client) / batches * 1e3,
    }


def _cpu(pid: int) -> float:
    """Seconds of processor time a process used. Source: proc(5), fields 14 and 15 of stat."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _own_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _split(folder: Path, batches: list[list[bytes]]) -> Figures:
    """What the parts of one batch take when they run alone, milliseconds."""
    some = batches[:200]
    messages = [pb.AppendRequest(records=batch, batch=os.urandom(16)) for batch in some]
    wires = [message.SerializeToString() for message in messages]
    schema = BulkSchema(json.loads(some[0][0])["member"])
    lines = [b"\n".join(_line(record) for record in batch) for batch in some]
    parts: dict[str, Callable[[int], Any]] = {
        "lines_to_records": lambda at: schema.first_lines(lines[at], 0),
        "node_recognise": lambda at: schema.check(some[at]),
        "client_message": lambda at: pb.AppendRequest(records=some[at], batch=b"b" * 16).SerializeToString(),
    }
    folder.mkdir()
    log = _native.LogEngine.open(str(folder))
    parts["node_message"] = lambda at: list(pb.AppendRequest.FromString(wires[at]).records)
    parts["append_validated"] = lambda at: log.append_records(some[at])
    try:
        figures = {f"{name}_ms": _each(work, len(some)) for name, work in parts.items()}
        return figures | {"lines_to_records_per_second": BATCH / figures["lines_to_records_ms"] * 1e3}
    finally:
        log.close()


def _line(record: bytes) -> bytes:
    """A record as a department's system would write it."""
    value = json.loads(record)
    return json.dumps({name: value[name] for name in ("type", "time", "body")}).encode()


def _each(work: Any, count: int) -> float:
    began = time.perf_counter()
    for at in range(count):
        work(at)
    return (time.perf_counter() - began) / count * 1e3


def main() -> int:
    """Measure in a temporary folder and print JSON."""
    records = int(sys.argv[1]) if len(sys.argv) > 1 else 400_000
    with tempfile.TemporaryDirectory(prefix="civicledger-bench-") as folder:
        print(json.dumps(measure(Path(folder), records), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
