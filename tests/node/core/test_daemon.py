"""The node as a process: what it prints, how it stops, how it refuses, what a full disk does."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from ledger import log as ledger_log
from ledger.codec import encode_record
from ledger.errors import LedgerError
from ledger.model import Record
from ledger.v1 import department_pb2, department_pb2_grpc
from node.compose import Node
from node.identity.keyfiles import read_passphrase
from node.identity.keyring import KeyRing
from node.identity.peers import PeerBook
from node.rpc.errors import from_rpc
from tests.node.core.city import City, found, record
from tests.node.core.makers import eventually

ROOT = Path(__file__).resolve().parents[3]


@contextmanager
def daemon(folder: Path, file_limit: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """``python -m node.daemon``; ``file_limit`` is the largest file it may write, bytes: its disk is full there."""
    process = subprocess.Popen(
        [sys.executable, "-m", "node.daemon", str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUTF8": "1"},
    )
    try:
        if file_limit is not None:
            # From outside: a fork with Python code in it does not go with the threads of gRPC in this process.
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (file_limit, file_limit))
        yield process
    finally:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen[str], event: str) -> dict[str, object]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.stderr.read() if process.stderr else ""
    answer = json.loads(line)
    assert answer["event"] == event
    return answer


def refused(folder: Path, **environ: str) -> str:
    process = subprocess.run(
        [sys.executable, "-m", "node.daemon", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONUTF8": "1", **environ},
        timeout=180,
        check=False,
    )
    assert process.returncode == 1
    assert "Traceback" not in process.stderr
    assert process.stdout == ""
    return process.stderr


def test_it_says_when_it_listens_and_serves_and_stops_cleanly(tmp_path: Path) -> None:
    founded = found(tmp_path, 2)
    with City(founded) as city:
        other = started(city, 1)
        with daemon(founded.folders[0]) as process:
            ports = said(process, "listening")
            assert ports["grpc"] == int(founded.foundings[0].peer.grpc.rpartition(":")[2])
            assert said(process, "serving")["size"] == 1
            assert other.wait_open(180)
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=180)
            assert process.returncode == 0
        # What other threads say comes in between and around as it happens.
        events = [json.loads(line)["event"] for line in errors.splitlines() if line.startswith("{")]
        assert events.index("node.started") < events.index("node.draining") < events.index("node.stopped")
        assert ledger_log.fsck(founded.folders[0] / "log").ok
        assert not (founded.folders[0] / "running").exists()


def started(city: City, number: int) -> Node:
    node = Node.open(city.founded.folders[number], environ={})
    city.nodes[number] = node
    node.start()
    return node


def test_a_refusal_is_one_message_with_code_and_next_step(tmp_path: Path) -> None:
    founded = found(tmp_path / "city", 2)
    assert "[config.missing]" in refused(tmp_path)
    assert "[key.passphrase]" in refused(founded.folders[0], CIVICLEDGER_PASSPHRASE="not the right one")
    with City(founded) as city:
        started(city, 0)
        text = refused(founded.folders[0])
        assert "[store.locked]" in text
        assert "stop the other node process" in text


def test_usage_is_misuse() -> None:
    process = subprocess.run(
        [sys.executable, "-m", "node.daemon"], cwd=ROOT, capture_output=True, text=True, timeout=180, check=False
    )
    assert process.returncode == 2
    assert "usage" in process.stderr


def test_after_a_kill_the_recovery_is_on_the_trail(tmp_path: Path) -> None:
    founded = found(tmp_path, 2)
    with City(founded) as city:
        started(city, 1)
        with daemon(founded.folders[0]) as process:
            said(process, "listening")
            said(process, "serving")
            process.kill()
            process.wait()
        with daemon(founded.folders[0]) as process:
            said(process, "listening")
            assert said(process, "serving")["size"] == 3
        # Killed again: what is derived from the entries may be behind until the log is opened.
        city.start(0)
        assert ledger_log.fsck(founded.folders[0] / "log").ok
        kinds = [json.loads(entry)["type"] for entry in city[0].core.log.read(0, 3)]
        assert kinds == ["system.started", "system.recovered", "system.started"]


def test_a_full_disk_is_one_clear_error_and_loses_nothing(tmp_path: Path) -> None:
    founded = found(tmp_path, 2)
    with City(founded) as city:
        started(city, 1)
        acknowledged: dict[int, bytes] = {}
        with daemon(founded.folders[0], file_limit=1 << 20) as process:
            said(process, "listening")
            said(process, "serving")
            stub = department_pb2_grpc.RecordServiceStub(own_channel(city, 0))
            failure: LedgerError | None = None
            for number in range(400):
                entries = [encode_record(record_of(city, number * 50 + place)) for place in range(50)]
                try:
                    answer = stub.Append(department_pb2.AppendRequest(records=entries), timeout=180)
                except grpc.RpcError as error:
                    failure = from_rpc(error)
                    break
                acknowledged.update({answer.first + place: entry for place, entry in enumerate(entries)})
            assert failure is not None, "a file of 1 MiB holds no 20,000 records"
            assert failure.code == "log.no-space"
            assert failure.hint
            # Every later append gets the same answer, and reading still works.
            with pytest.raises(grpc.RpcError) as caught:
                stub.Append(department_pb2.AppendRequest(records=[encode_record(record_of(city, 1))]), timeout=180)
            assert from_rpc(caught.value).code == "log.no-space"
            rows = stub.Read(department_pb2.ReadRequest(first=min(acknowledged), count=10), timeout=180)
            assert [row.record for row in rows] == [acknowledged[min(acknowledged) + place] for place in range(10)]
            # It stays up for reading until it is stopped, and then says once more why it stood still.
            assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=180)
            assert process.returncode == 1
            assert "[log.no-space]" in errors
            assert "Traceback" not in errors
        report = ledger_log.fsck(founded.folders[0] / "log")
        city.start(0)
        assert report.size >= len(acknowledged) > 1_000
        for index, entry in acknowledged.items():
            assert city[0].core.log.read(index, 1)[0] == entry
        assert ledger_log.fsck(founded.folders[0] / "log").ok
        eventually(lambda: city[0].anchors.anchored_size() == city[0].core.log.size)


def record_of(city: City, number: int) -> Record:
    return dataclasses.replace(record(city[1], number), member=city.founded.members[0])


def own_channel(city: City, number: int) -> grpc.Channel:
    folder, member = city.founded.folders[number], city.founded.members[number]
    keys = KeyRing(folder / "keys", member, read_passphrase(folder, "", {}))
    return PeerBook(folder / "peers.json", keys.identity).channel(member)
