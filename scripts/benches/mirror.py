"""Measures what it costs to compare a followed log again, whole: the node that asks and the node that answers.

``scripts/bench mirror [--json] [--records N] [--folder DIR]``. A node's HTTPS surface in a process of its own serves a
log of N records of 200 B; the follower's own code fetches every tile and bundle and compares it with the mirror.
Nothing is asserted here; figures are kept in ``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ledger._native import LogEngine
from ledger.evidence.checkpoint import Checkpoint
from ledger.evidence.tiles import TILE_WIDTH, Tile
from node.context import Published, system_clock
from node.identity.peers import Peer
from node.identity.pinned import PinnedClient
from node.identity.tls import key_pem, make_certificate, spki_of_pem
from node.mirror.files import MirrorFiles
from node.mirror.reader import LogReader
from node.mirror.recheck import Recheck
from node.web.https import public_app
from node.web.webserver import WebServer

MEMBER, ORIGIN = "11310000MB0000001A", "310000.bench.civicledger/log"
SECRET = bytes([1]) * 32
BATCH = 4_096

Figures = dict[str, Any]


class OneByOne(LogReader):
    """Asks for a tile when it is wanted."""

    def ahead(self, tiles: Sequence[Tile]) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """A log with one checkpoint."""

    published: Published

    def newest(self) -> Published:
        """It."""
        return self.published

    def witnessed(self) -> Published:
        """It."""
        return self.published


def grow(folder: Path, records: int) -> LogEngine:
    """A log of records of 200 B."""
    engine = LogEngine.open(str(folder / "log"))
    for start in range(0, records, BATCH):
        engine.append_batch([b"%0200d" % number for number in range(start, min(records, start + BATCH))])
    engine.sync()
    return engine


def serve(folder: Path) -> None:
    """Serve the log over HTTPS until standard input ends; says its port."""
    engine = LogEngine.open(str(folder / "log"))
    size = engine.size()
    publisher = Publisher(published=Published(size=size, root=engine.root(), note=b"", cosignatures=0, quorum=0))
    app = public_app(
        engine,
        publisher,  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        dict,
        member=MEMBER,
        mirrors=None,  # type: ignore[arg-type]
        may_read=lambda _pem, _owner: None,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "served.pem")
    server = WebServer(app, "127.0.0.1", 0, context, name="served")
    server.start()
    print(server.port, flush=True)
    sys.stdin.read()
    server.close()


def measure(folder: Path, records: int) -> Figures:
    """Every way of asking, with and without entries."""
    engine = grow(folder, records)
    certificate = make_certificate(SECRET, MEMBER, system_clock(), 1)
    (folder / "served.pem").write_bytes(key_pem(SECRET) + certificate)
    files = mirror(folder, engine)
    engine.close()
    child = subprocess.Popen(
        [sys.executable, "-m", "scripts.benches.mirror", "--serve", str(folder)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    figures: Figures = {"records": records, "cpus": os.cpu_count()}
    try:
        port = int(child.stdout.readline()) if child.stdout else 0
        peer = Peer(
            uscc=MEMBER, grpc="", https=f"127.0.0.1:{port}", certificate=certificate, spki=spki_of_pem(certificate)
        )
        for name, reader, entries in (
            ("hashes, 32 at a time", LogReader, False),
            ("hashes, one at a time", OneByOne, False),
            ("hashes and entries, 32 at a time", LogReader, True),
        ):
            figures[name] = again(files, peer, reader, child.pid, records, entries=entries)
    finally:
        child.communicate()
    files.close()
    return figures


def mirror(folder: Path, engine: LogEngine) -> MirrorFiles:
    """All of the log, as a follower keeps it."""
    files = MirrorFiles.open(folder / "mirror", MEMBER, ORIGIN)
    size = engine.size()
    for index in range(-(-size // TILE_WIDTH)):
        width = min(TILE_WIDTH, size - index * TILE_WIDTH)
        files.append_hashes(engine.hash_tile(0, index, width))
        files.append_entries(engine.entry_tile(index, width), width)
    files.commit()
    files.complete(b"", Checkpoint(origin=ORIGIN, size=size, root=engine.root()))
    return files


def again(files: MirrorFiles, peer: Peer, reader: type[LogReader], server: int, size: int, *, entries: bool) -> Figures:
    """One whole comparison."""
    draw = random.Random(1)  # noqa: S311 - which tiles come first is no secret
    recheck = Recheck(sample=1, budget=lambda: None, interval=10.0, patience=0.0, draw=draw, stopping=bool)
    client = PinnedClient(peer, 60.0)
    before, theirs = resource.getrusage(resource.RUSAGE_SELF), _processor(server)
    started = time.perf_counter()
    wrong = recheck.compare(files, reader(client), size, entries=entries)
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    client.close()
    if wrong is not None:
        raise SystemExit(f"the comparison failed: {wrong}")
    sent = size * 32 * 256 // 255 + (files.entry_bytes if entries else 0)
    return {
        "seconds": round(seconds, 3),
        "mib": round(sent / (1 << 20), 1),
        "mib_per_second": round(sent / (1 << 20) / seconds, 1),
        "processor_here": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "processor_there": round(_processor(server) - theirs, 2),
    }


def _processor(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Entry point of ``scripts/bench mirror``."""
    parser = argparse.ArgumentParser(prog="scripts/bench mirror", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--records", type=int, default=1 << 20)
    parser.add_argument("--folder", type=Path, help="scratch folder (default: the temporary one)")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    words = parser.parse_args()
    if words.serve is not None:
        serve(words.serve)
        return
    scratch = Path(tempfile.mkdtemp(prefix="bench-mirror-", dir=words.folder))
    try:
        figures = measure(scratch, words.records)
    finally:
        shutil.rmtree(scratch)
    if words.json:
        print(json.dumps(figures, indent=1))
        return
    for name, figure in figures.items():
        print(f"{name}: {figure}")


if __name__ == "__main__":
    main()
