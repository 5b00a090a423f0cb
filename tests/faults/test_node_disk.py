"""A whole node on a disk that fills up, and on one that became read-only: real file systems of a few MiB.

Mounting one needs rights that not every machine gives; ``tests/node/core/test_daemon.py`` fills a disk without them.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import pytest

from ledger import log as ledger_log
from ledger._native import LogReader
from ledger.codec import encode_record
from ledger.errors import LedgerError
from ledger.v1 import department_pb2, department_pb2_grpc, node_pb2, node_pb2_grpc
from node.config import load_config
from node.rpc.errors import from_rpc
from tests.conftest import ROOT
from tests.node.core.city import City, found
from tests.node.core.makers import eventually
from tests.node.core.test_daemon import daemon, own_channel, record_of, refused, said, started


@contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[None]:
    """Put a folder on a file system of its own; skips where none can be mounted."""
    aside = folder.with_name(folder.name + "-aside")
    folder.rename(aside)
    folder.mkdir(mode=0o700)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m,mode=700", "tmpfs", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    try:
        shutil.copytree(aside, folder, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], timeout=180, check=True)


def fill(folder: Path) -> Path:
    """Take every free byte of the file system."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(1 << 16)):
            pass
    return ballast


def health(folder: Path) -> tuple[int, str]:
    return local(folder, "healthz")


def local(folder: Path, path: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{load_config(folder).local.port}/{path}"
    try:
        with urllib.request.urlopen(url, timeout=180) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_a_full_disk_leaves_the_node_up_for_reading(tmp_path: Path) -> None:
    founded = found(tmp_path, 2)
    folder = founded.folders[0]
    acknowledged: dict[int, bytes] = {}

    def append(stub: department_pb2_grpc.RecordServiceStub, city: City, number: int) -> None:
        entries = [encode_record(record_of(city, number * 100 + place)) for place in range(100)]
        answer = stub.Append(department_pb2.AppendRequest(records=entries), timeout=180)
        acknowledged.update({answer.first + place: entry for place, entry in enumerate(entries)})

    with small_disk(folder, 32), City(founded) as city:
        started(city, 1)
        with daemon(folder) as process:
            said(process, "listening")
            said(process, "serving")
            channel = own_channel(city, 0)
            stub = department_pb2_grpc.RecordServiceStub(channel)
            append(stub, city, 0)
            ballast = fill(folder)
            failure = refusal_of(lambda: [append(stub, city, number) for number in range(1, 2_000)])
            assert failure.code == "log.no-space"
            assert "free space" in failure.hint
            # Every later append is refused the same way; what was acknowledged is read, and status and doctor answer.
            assert refusal_of(lambda: append(stub, city, 1)).code == "log.no-space"
            rows = list(stub.Read(department_pb2.ReadRequest(first=1, count=100), timeout=180))
            assert [row.record for row in rows] == [acknowledged[index] for index in range(1, 101)]
            status = node_pb2_grpc.StatusServiceStub(channel)
            findings = status.Diagnose(node_pb2.DiagnoseRequest(), timeout=180).findings
            told = {finding.code for finding in findings if finding.severity == "problem"}
            assert {"log.no-space", "disk.full"} <= told
            state = status.GetStatus(node_pb2.GetStatusRequest(), timeout=180)
            assert state.log_size >= len(acknowledged)
            assert state.closed.endswith("[log.no-space]")
            eventually(lambda: health(folder)[0] == 503)
            assert "no space" in health(folder)[1]
            assert "civicledger_serving 0.0" in local(folder, "metrics")[1]
            assert process.poll() is None
            # Room alone does not re-open a log after a failed write: a restart does.
            ballast.unlink()
            assert refusal_of(lambda: append(stub, city, 1)).code == "log.no-space"
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=300)
            assert process.returncode == 1
            assert "Traceback" not in errors
            assert "[log.no-space]" in errors
        with daemon(folder) as process:
            said(process, "listening")
            assert int(str(said(process, "serving")["size"])) > len(acknowledged)
            append(department_pb2_grpc.RecordServiceStub(own_channel(city, 0)), city, 9_000)
            process.send_signal(signal.SIGTERM)
            assert process.wait(300) == 0
        reader = LogReader.open(str(folder / "log"), max(acknowledged) + 1)
        for index, entry in acknowledged.items():
            assert reader.read(index, 1) == [entry]
        assert ledger_log.fsck(folder / "log").ok
        on_a_read_only_disk(folder)


def on_a_read_only_disk(folder: Path) -> None:
    """The node does not start and says why; the log is judged and exported from the folder all the same."""
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True, timeout=180)
    text = refused(folder)
    assert "read-only]" in text
    assert "writable" in text
    command = [sys.executable, "-m", "node.cli.main", "log", "fsck", "--node", str(folder), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["ok"]
    # The witness keys are on chain, and the node does not answer.
    assert "unchecked" in {check["outcome"] for check in answer["checks"]}


def refusal_of(act: object) -> LedgerError:
    with pytest.raises(grpc.RpcError) as caught:
        act()  # type: ignore[operator]
    return from_rpc(caught.value)
