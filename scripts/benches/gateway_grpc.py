"""Unary verification through the gateway's gRPC beside an empty echo through the same server, in turns.

The server is another process (``gateway_server``); the client is this one, over one TLS connection. Both share the
machine's cores, as the figures must be read. Messages are serialised before the clock starts, on both sides alike.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import grpc

from ledger.v1 import gateway_pb2 as pb
from scripts.benches.gateway_server import AUDIENCE, BARE, ECHO

Figures = dict[str, Any]
Progress = Callable[[str, int, int], None]

_VERIFY = "/ledger.v1.LicenceService/Verify"
_BATCH = "/ledger.v1.LicenceService/VerifyBatch"
#: How an answer begins whose code is "valid".
_VALID = pb.LicenceVerdict(code="valid").SerializeToString()
CALLERS = (1, 4)
#: Licences in a message of the stream, and messages under way.
BATCH = 128
_WARM_S = 1.0


def measure(quick: bool, progress: Progress) -> Figures:
    """Calls a second by callers: ``bare`` (gRPC alone), ``echo`` (with what surrounds every answer of the gateway),
    ``plain`` (three disclosures) and ``bound`` (and a key binding), in rounds of one after the other; licences a
    second of a stream; processor time of the server for each call."""
    rounds, seconds = (3, 1.0) if quick else (7, 3.0)
    command = [sys.executable, "-m", "scripts.benches.gateway_server"]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdin is not None
        assert server.stdout is not None
        told = json.loads(server.stdout.readline())
        credentials = grpc.ssl_channel_credentials(told["certificate"].encode())
        with grpc.secure_channel(f"localhost:{told['port']}", credentials) as channel:
            return _measured(channel, told, rounds, seconds, progress)
    finally:
        if server.stdin is not None:
            server.stdin.close()
        server.wait(60)


def _measured(channel: grpc.Channel, told: Figures, rounds: int, seconds: float, progress: Progress) -> Figures:
    verify = channel.unary_unary(_VERIFY)
    plain = [pb.LicencePresentation(licence=text).SerializeToString() for text in told["plain"]]
    bound = [pb.LicencePresentation(licence=text, audience=AUDIENCE).SerializeToString() for text in told["bound"]]
    ways: dict[str, tuple[Callable[[bytes], bytes], Sequence[bytes], bytes]] = {
        "bare": (channel.unary_unary(BARE), [b""], b""),
        "echo": (channel.unary_unary(ECHO), [b""], b""),
        "plain": (verify, plain, _VALID),
        "bound": (verify, bound, _VALID),
    }
    figures: Figures = {"bytes": sum(map(len, plain)) / len(plain), "bound_bytes": sum(map(len, bound)) / len(bound)}
    for call, messages, begins in ways.values():
        _rate(call, messages, begins, CALLERS[-1], _WARM_S)
    total, done = len(CALLERS) * rounds, 0
    for callers in CALLERS:
        found: Figures = {name: {"rates": [], "server_us": []} for name in ways}
        for _ in range(rounds):
            progress(f"unary calls, {callers} callers", done, total)
            done += 1
            for name, (call, messages, begins) in ways.items():
                before = _cpu(told["pid"])
                rate = _rate(call, messages, begins, callers, seconds)
                found[name]["rates"].append(rate)
                found[name]["server_us"].append((_cpu(told["pid"]) - before) / (rate * seconds) * 1e6)
        for row in found.values():
            row["per_second"] = sorted(row["rates"])[len(row["rates"]) // 2]
        # Each share is of one round, whose calls saw the same machine; the middle one counts.
        for name in ("bare", "plain", "bound"):
            shares = sorted(
                mine / other for mine, other in zip(found[name]["rates"], found["echo"]["rates"], strict=True)
            )
            found[name]["share"] = shares[len(shares) // 2]
        figures[f"callers={callers}"] = found
    progress("a stream of batches", 0, 1)
    figures["stream"] = _stream(channel, told["plain"], rounds * seconds)
    return figures


def _rate(
    call: Callable[[bytes], bytes], messages: Sequence[bytes], begins: bytes, callers: int, seconds: float
) -> float:
    """Calls a second of so many threads. Raises SystemExit at the first answer that is not what it must be."""
    counts = [0] * callers
    wrong: list[bytes] = []
    began = time.perf_counter()
    end = began + seconds

    def work(caller: int) -> None:
        number = caller
        while time.perf_counter() < end and not wrong:
            answer = call(messages[number % len(messages)])
            if not answer.startswith(begins):
                wrong.append(answer)
            number += callers
            counts[caller] += 1

    threads = [threading.Thread(target=work, args=(caller,)) for caller in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise SystemExit(f"bench gateway: a licence that is valid was judged {wrong[0][:60]!r}")
    return sum(counts) / (time.perf_counter() - began)


def _stream(channel: grpc.Channel, texts: Sequence[str], seconds: float) -> Figures:
    """Licences a second through VerifyBatch, one stream, a few messages ahead."""
    one = pb.LicencePresentations(
        items=[pb.LicencePresentation(licence=texts[at % len(texts)]) for at in range(BATCH)]
    ).SerializeToString()
    call = channel.stream_stream(_BATCH, response_deserializer=pb.LicenceVerdicts.FromString)
    end = time.perf_counter() + min(seconds, 20.0)
    room = threading.Semaphore(4)

    def requests() -> Any:
        while time.perf_counter() < end:
            room.acquire()
            yield one

    began, count = time.perf_counter(), 0
    for answer in call(requests()):
        room.release()
        if any(item.code != "valid" for item in answer.items):
            raise SystemExit("bench gateway: a licence that is valid was judged otherwise in a batch")
        count += len(answer.items)
    return {"licences": count, "per_second": count / (time.perf_counter() - began), "batch": BATCH}


def _cpu(pid: int) -> float:
    """Seconds of processor time a process used. Source: proc(5), fields 14 and 15 of stat."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
