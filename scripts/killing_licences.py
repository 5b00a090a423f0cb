"""The kill -9 loop of an issuer: killed again and again while it issues, revokes and publishes, it must lose nothing.

The victim of :mod:`scripts.killing`, here a member that issues licences. After every restart an issue whose answer was
lost is asked again with its request id. No two licences have one place; every acknowledged licence is the one that was
answered, every acknowledged revocation in force; versions of the status list follow one another without a gap, and no
version was ever seen with two contents, at the victim or on the chain.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import grpc

from ledger.licences import b64, jws
from ledger.licences.status import StatusList
from ledger.v1 import licences_pb2 as pb
from ledger.v1 import licences_pb2_grpc as rpc
from node.compose import Node
from node.identity.pinned import PinnedClient
from node.rpc.errors import from_rpc
from scripts.benches.licence_issuer import ROW
from scripts.kill_load import OPEN_S, LostError
from scripts.killing import Figures, KillLoop, kill, survivor_of

_DIGEST = b"\x07" * 32
_ISSUERS = 3
#: Every how many licences one is revoked.
_REVOKED = 2
_PUBLISH_S = 0.05
#: Said while a node is not all there yet; whatever was asked is asked again.
_WAITING = frozenset({"chain.stale", "node.opening", "licence.not-accredited", "licence.type-unknown"})


@dataclass(slots=True, kw_only=True)
class _Known:
    """What the victim answered, guarded by ``lock``: licences by request, the ids of revoked ones, the content's digest
    of every version seen; ``asked``: requests without an answer so far."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    licences: dict[str, pb.IssuedLicence] = field(default_factory=dict)
    asked: dict[str, pb.IssueLicenceRequest] = field(default_factory=dict)
    revoking: set[bytes] = field(default_factory=set)
    revoked: set[bytes] = field(default_factory=set)
    versions: dict[int, bytes] = field(default_factory=dict)

    def seen(self, version: int, digest: bytes) -> None:
        """Raises: LostError where the version had other bits before."""
        with self.lock:
            if self.versions.setdefault(version, digest) != digest:
                raise LostError(f"version {version} of the status list was seen with two contents")


class LicenceLoop(KillLoop):
    """A city of two whose sequencer issues licences. ``seed`` chooses the moments."""

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder, seed)
        self._known = _Known()
        self._type = ""
        self._number = 0
        self._refusal: LostError | None = None

    def _run(self, rounds: int, progress: Callable[[Figures], None]) -> Figures:
        began = time.monotonic()
        with survivor_of(self._survivor_folder) as survivor:
            process = self._start()
            try:
                self._accredit(survivor)
                for number in range(rounds):
                    with self._load():
                        # Load that never got an answer would test nothing.
                        self._await_answer()
                        process.join(self._random.uniform(0.0, 0.4))
                        kill(process)
                    process = self._start()
                    self.figures.repeated += self._repeat()
                    self._check(survivor)
                    self.figures.rounds = number + 1
                    self.figures.records = len(self._known.licences)
                    self.figures.transactions = len(self._known.versions)
                    self.figures.seconds = time.monotonic() - began
                    progress(self.figures)
                self._check_log()
                self._check_list(survivor)
                self._stop(process)
            finally:
                kill(process)
        self._client.close()
        return self.figures

    # --- load ---------------------------------------------------------------------------------------------------------
    def _accredit(self, survivor: Node) -> None:
        """The survivor defines a type and accredits the victim."""
        context = survivor.context
        self._type = f"{survivor.core.member}001"
        licences = context.contracts.licences
        context.sender.send(licences.address, licences.encode_define(self._type, _DIGEST))
        context.sender.send(licences.address, licences.encode_accredit(self._type, self._victim, basis_digest=_DIGEST))

    @contextmanager
    def _load(self) -> Iterator[None]:
        stop = threading.Event()
        work = [self._issue] * _ISSUERS + [self._publish]
        threads = [threading.Thread(target=self._guarded, args=(step, stop)) for step in work]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        if self._refusal is not None:
            raise self._refusal

    def _guarded(self, step: Callable[[threading.Event], None], stop: threading.Event) -> None:
        try:
            while not stop.is_set():
                step(stop)
        except LostError as error:
            self._refusal = error

    def _issue(self, stop: threading.Event) -> None:
        with self._known.lock:
            self._number += 1
            request = f"kill-{self._number}"
            fields = {name: value for name, value in ROW.items() if name not in ("ZZYXQQSRQ", "ZZBH")}
            fields["ZZBH"] = f"K{self._number:09d}"
            wanted = pb.IssueLicenceRequest(request=request, type=self._type, template="driving-licence", fields=fields)
            self._known.asked[request] = wanted
        if self._ask_issue(wanted, stop) and self._number % _REVOKED == 0:
            with self._known.lock:
                identity = self._known.licences[request].licence.id
                self._known.revoking.add(identity)
            self._ask_revoke(identity, stop)

    def _ask_issue(self, wanted: pb.IssueLicenceRequest, stop: threading.Event) -> bool:
        answer = self._ask("Issue", wanted, stop)
        if answer is None:
            return False
        with self._known.lock:
            self._known.licences[wanted.request] = answer
            del self._known.asked[wanted.request]
        return True

    def _ask_revoke(self, identity: bytes, stop: threading.Event) -> None:
        if self._ask("Revoke", pb.ChangeLicenceRequest(id=identity, reason="kill-loop"), stop) is not None:
            with self._known.lock:
                self._known.revoked.add(identity)

    def _publish(self, stop: threading.Event) -> None:
        answer = self._ask("PublishStatus", pb.PublishStatusRequest(), stop)
        for item in () if answer is None else answer.lists:
            self._known.seen(item.version, item.list_digest)
        stop.wait(_PUBLISH_S)

    def _ask(self, method: str, request: Any, stop: threading.Event) -> Any:
        """The answer; None when ``stop`` came first. Raises: LostError when the node refuses."""
        stub = rpc.IssuingServiceStub(self._client.channel(self._victim))
        while not stop.is_set():
            try:
                return getattr(stub, method)(request, timeout=30)
            except grpc.RpcError as error:
                said = from_rpc(error)
                away = error.code() in (
                    grpc.StatusCode.UNAVAILABLE,
                    grpc.StatusCode.DEADLINE_EXCEEDED,
                    grpc.StatusCode.CANCELLED,
                )
                if not away and said.code not in _WAITING:
                    raise LostError(f"the node refuses {method}: {said.code}: {said.message}") from error
                stop.wait(0.02)
        return None

    def _await_answer(self) -> None:
        before, deadline = len(self._known.licences), time.monotonic() + OPEN_S
        pause = threading.Event()
        while len(self._known.licences) == before and self._refusal is None:
            if time.monotonic() > deadline:
                raise LostError("the node is open and issues nothing")
            pause.wait(0.01)

    def _repeat(self) -> int:
        """What was asked and not answered is asked again, as the design tells callers to; how many."""
        over = threading.Event()
        timer = threading.Timer(OPEN_S, over.set)
        timer.start()
        try:
            asked, unsaid = list(self._known.asked.values()), self._known.revoking - self._known.revoked
            for wanted in asked:
                if not self._ask_issue(wanted, over):
                    raise LostError("the node is open but does not answer a repeated issue")
            for identity in unsaid:
                self._ask_revoke(identity, over)
        finally:
            timer.cancel()
        return len(asked) + len(unsaid)

    # --- what must hold -----------------------------------------------------------------------------------------------
    def _check(self, survivor: Node) -> None:
        rows = self._rows()
        places = [(row.list, row.index) for row in rows.values()]
        if len(set(places)) != len(places):
            raise LostError("a place of the status list was given twice")
        if len(rows) != len(self._known.licences):
            raise LostError(f"{len(self._known.licences)} licences were issued, and the node has {len(rows)}")
        for issued in self._known.licences.values():
            row = rows.get(issued.licence.id)
            if row is None or (row.list, row.index, row.commitment, row.log_index) != (
                issued.licence.list,
                issued.licence.index,
                issued.licence.commitment,
                issued.licence.log_index,
            ):
                raise LostError(f"an acknowledged licence is gone, or another one: {issued.licence.id.hex()}")
        lost = [identity for identity in self._known.revoked if rows[identity].state != "revoked"]
        if lost:
            raise LostError(f"{len(lost)} acknowledged revocations are lost")
        licences = survivor.context.contracts.licences
        for version in range(1, 1_000_000, 200):
            page = licences.list_versions(self._victim, 1, version) if licences.list_count(self._victim) else ()
            for item in page:
                self._known.seen(item.version, item.list_digest)
            if len(page) < 200:
                break

    def _rows(self) -> dict[bytes, pb.Licence]:
        stub, rows, token = rpc.IssuingServiceStub(self._client.channel(self._victim)), [], ""
        while True:
            page = stub.List(pb.ListLicencesRequest(page_size=500, page_token=token), timeout=OPEN_S)
            rows += page.licences
            token = page.next_page_token
            if not token:
                return {row.id: row for row in rows}

    def _check_list(self, survivor: Node) -> None:
        """What is published in the end says of every licence how it stands, and so does the chain."""
        (newest,) = self._ask("PublishStatus", pb.PublishStatusRequest(), threading.Event()).lists
        self._known.seen(newest.version, newest.list_digest)
        versions = sorted(self._known.versions)
        if versions != list(range(1, newest.version + 1)):
            raise LostError(f"versions of the status list skip: {versions}")
        client = PinnedClient(self._client.require(self._victim), 30.0)
        try:
            claims = jws.parse(client.read("/licence/status/1", 1 << 22).body.decode("ascii")).claims()
        finally:
            client.close()
        content = StatusList.decode(2, b64.decode(claims["status_list"]["lst"]))
        if (claims["version"], content.digest) != (newest.version, newest.list_digest):
            raise LostError("the node serves another list than it published")
        for issued in self._known.licences.values():
            wanted = int(issued.licence.id in self._known.revoked)
            if content.get(issued.licence.index) != wanted:
                raise LostError(f"the published list says {1 - wanted} of a licence that is {wanted}")
        deadline, pause = time.monotonic() + OPEN_S, threading.Event()
        while survivor.core.chain.head().height < newest.height:
            if time.monotonic() > deadline:
                raise LostError("the other member's node does not follow the chain")
            pause.wait(0.01)
        head = survivor.context.contracts.licences.list_head(self._victim, 1)
        if head is None or head.newest.list_digest != newest.list_digest:
            raise LostError("the newest published list does not stand on the chain")

    def _stop(self, process: BaseProcess) -> None:
        process.terminate()
        process.join(OPEN_S)
        if process.exitcode != 0:
            raise LostError(f"the node does not stop cleanly: exit code {process.exitcode}")
