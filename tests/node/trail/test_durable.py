"""An answered cosignature is on disk: the process is killed behind the answer; its system calls are in that order."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ledger.errors import UnavailableError
from ledger.evidence import merkle
from ledger.evidence.checkpoint import Checkpoint
from ledger.evidence.witness import format_request
from ledger.storage.store import Store
from ledger.storage.witness import WitnessStore
from node.city.ports import free_ports
from tests.faults.strace import need_strace
from tests.node.trail.town import Town

ROOT = Path(__file__).resolve().parents[3]
LEAVES = [hashlib.sha256(b"%d" % number).digest() for number in range(3_000)]


class Witness:
    """The process and a connection to it."""

    def __init__(self, folder: Path, *before: str) -> None:
        self.port = free_ports(1)[0]
        command = [*before, sys.executable, "-m", "tests.node.trail.witness_process", str(folder), str(self.port)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def post(self, old: int, new: int, note: bytes) -> tuple[int, bytes]:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=180)
        try:
            proof = merkle.consistency_proof(LEAVES, old, new) if 0 < old < new else ()
            line.request("POST", "/add-checkpoint", body=format_request(old, proof, note))
            answer = line.getresponse()
            return answer.status, answer.read()
        finally:
            line.close()

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(300)
        if self.process.stdout is not None:
            self.process.stdout.close()


def test_what_was_answered_is_held_after_a_kill(tmp_path: Path) -> None:
    (tmp_path / "owner").mkdir()
    owner = Town(tmp_path / "owner", 1).bodies[0]
    folder = tmp_path / "witness"
    folder.mkdir()
    size = 0
    for answers in (3, 20):
        witness = Witness(folder)
        answered = [size]
        enough = threading.Event()

        def feed(witness: Witness = witness, answered: list[int] = answered, enough=enough, answers=answers) -> None:  # type: ignore[no-untyped-def]
            start = answered[-1]
            for new in range(start + 1, len(LEAVES)):
                try:
                    status, body = witness.post(answered[-1], new, owner.note(LEAVES, new))
                except (OSError, http.client.HTTPException):
                    return
                if status == 409:
                    # Killed between disk and answer the last time: it holds one that nobody was told of.
                    answered.append(int(body))
                    continue
                assert status == 200, body
                answered.append(new)
                if len(answered) > answers:
                    enough.set()

        feeder = threading.Thread(target=feed)
        feeder.start()
        assert enough.wait(300)
        witness.kill()
        feeder.join(300)
        assert not feeder.is_alive()
        with Store.open(folder / "held") as store:
            held = WitnessStore(store).get(owner.info.origin)
            assert held is not None
            assert answered[-1] <= held.checkpoint.size <= answered[-1] + 1, "never behind what was answered"
            assert held.checkpoint.root == merkle.root(LEAVES[: held.checkpoint.size])
        size = answered[-1]


def test_the_disk_has_it_before_the_answer_leaves(tmp_path: Path) -> None:
    need_strace(tmp_path)
    trace = tmp_path / "trace"
    (tmp_path / "owner").mkdir()
    owner = Town(tmp_path / "owner", 1).bodies[0]
    folder = tmp_path / "witness"
    folder.mkdir()
    calls = "trace=fdatasync,fsync,sendto,sendmsg,write,writev"
    witness = Witness(folder, "strace", "-f", "-y", "-s", "64", "-o", str(trace), "-e", calls)
    try:
        for new in (1, 2, 3):
            assert witness.post(new - 1, new, owner.note(LEAVES, new))[0] == 200
        assert witness.post(7, 9, owner.note(LEAVES, 9))[0] == 409
    finally:
        witness.kill()
    lines = trace.read_text("utf-8", "replace").splitlines()
    answers = [at for at, text in enumerate(lines) if '"HTTP/1.1 200' in text]
    assert len(answers) == 3
    before = 0
    for at in answers:
        round_ = lines[before:at]
        written = [place for place, text in enumerate(round_) if re.search(r"write\(\d+<[^>]*/held/\d+\.log>", text)]
        # A call that another thread's call interrupts in the trace stands in two lines; the second says that it ended.
        done = r"f(data)?sync(\(\d+<[^>]*/held/\d+\.log>\)| resumed>\)) += 0"
        synced = [place for place, text in enumerate(round_) if re.search(done, text)]
        assert written, "the new head is written"
        assert synced, "and synced, before the answer"
        assert max(synced) > max(written)
        before = at + 1


class Full:
    """A store on a full disk."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, key: bytes) -> bytes | None:
        return self._store.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        raise UnavailableError("disk.full", "no space is left", hint="free space")


def test_what_cannot_be_kept_is_not_cosigned(tmp_path: Path) -> None:
    town = Town(tmp_path, 2)
    owner = town.bodies[0]
    signed: list[object] = []
    try:
        witness = town.witness(1)
        store = witness._store._store
        witness._store = WitnessStore(Full(store))  # type: ignore[arg-type]
        witness._signer = lambda: signed.append(1) or town.bodies[1].witness  # type: ignore[func-returns-value]
        with pytest.raises(UnavailableError, match=r"disk\.full"):
            witness.add_checkpoint(format_request(0, (), owner.note(LEAVES, 5)))
        assert signed == [], "the key was not touched"
        witness._store = WitnessStore(store)
        assert witness.add_checkpoint(format_request(0, (), owner.note(LEAVES, 5)))[0] == 200
        head = Checkpoint(origin=owner.info.origin, size=5, root=merkle.root(LEAVES[:5]))
        assert witness._store.get(owner.info.origin).checkpoint == head  # type: ignore[union-attr]
    finally:
        town.close()
