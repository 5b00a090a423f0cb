"""The processes that read reports for a node (:mod:`node.medical.reading`): as many at a time as reports come.

A node that takes in little never starts one. They start behind the reports that come; until the first is ready, reports
are read in the node's own process. One that dies is replaced; the report it died of is refused.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import structlog

from ledger.errors import UnavailableError
from ledger.medical.fhirproblems import problem
from node.medical.drafts import Draft
from node.medical.reading import Ask, decode_draft, frame

logger = structlog.get_logger("node.medical")

#: The most processes where the settings name no number.
MOST: Final = 8
#: One that nobody needed for this long is ended, seconds.
_IDLE_S: Final = 60.0
#: How long a process may take to answer anything (its processor time is bounded by itself), seconds.
_ANSWER_S: Final = 300.0
#: The largest draft, bytes.
_MAX_DRAFT: Final = 8 << 20
_CHUNK: Final = 1 << 18
#: How often it is looked whether one that starts is ready, seconds.
_LOOK_S: Final = 0.05
COMMAND: Final = (sys.executable, "-P", "-m", "node.medical.reading")


class _DiedError(Exception):
    """The process ended, hung, or answered something else."""


class Readers:
    """The readers of one node. Thread-safe; each is used by one thread at a time."""

    def __init__(self, limit: int, command: Sequence[str] = COMMAND) -> None:
        """``limit``: processes at most, 0 for none; below: one a core. ``command``: what one of them runs."""
        self._limit = min(os.cpu_count() or 1, MOST) if limit < 0 else limit
        self._command = tuple(command)
        self._changed = threading.Condition()
        self._all: list[_Reader] = []
        #: Ready and not in use; the last one used is the first to be used again.
        self._idle: list[_Reader] = []
        self._closed = False
        #: After one that did not start, none is started before this.
        self._not_before = 0.0

    def read(
        self, sent: Sequence[bytes], institution: str, now_s: int, digest: bytes, file: bytes
    ) -> list[Draft] | None:
        """What each report says, in their order; None where no process is there to read them (yet). A single report
        starts none.

        ``file``: the rule set to map codes by, ``digest`` its name; both empty for none.
        Raises: UnavailableError(medical.no-reader), one died and none took its place.
        """
        found: list[Draft] = []
        # After a death, to know of which one: each alone, until it is found. None of them is read by the node then.
        alone = died = False
        while len(found) < len(sent):
            reader = self._replaced() if died else self._borrow(start=len(sent) > 1)
            if reader is None:
                return None
            rest = sent[len(found) :][: 1 if alone else None]
            try:
                found.extend(reader.read(rest, institution, now_s, digest, file))
            except _DiedError as error:
                logger.warning("reader.died", reason=str(error))
                if self._closed:
                    return None
                if alone:
                    found.append(Draft(report=None, problems=(problem("fhir.too-costly"),)))
                alone, died = not alone, True
            finally:
                self._give_back(reader)
        return found

    def rest(self) -> None:
        """End the processes that nobody needed lately."""
        with self._changed:
            late = time.monotonic() - _IDLE_S
            gone = [reader for reader in self._idle if reader.used < late]
            self._idle = [reader for reader in self._idle if reader not in gone]
            self._all = [reader for reader in self._all if reader not in gone]
        for reader in gone:
            reader.end()

    def close(self) -> None:
        """End all of them; nobody reads here any more."""
        with self._changed:
            self._closed = True
            working = [reader for reader in self._all if reader.ready and reader not in self._idle]
            gone = [reader for reader in self._all if reader not in working]
            self._all, self._idle = [], []
            self._changed.notify_all()
        for reader in working:
            # Whoever uses it is in the middle of its pipes, and ends it on giving it back.
            reader.kill()
        for reader in gone:
            reader.end()

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes there are."""
        with self._changed:
            return tuple(reader.pid for reader in self._all)

    def _borrow(self, *, start: bool) -> _Reader | None:
        """One that is ready; None where there is none yet. Where all are at work it waits for one, and one more is
        started. ``start``: else only one that is idle now."""
        with self._changed:
            while not self._closed:
                self._look()
                if self._idle:
                    return self._idle.pop()
                if not start:
                    return None
                self._add()
                if not any(reader.ready for reader in self._all):
                    return None
                self._changed.wait()
            return None

    def _replaced(self) -> _Reader | None:
        """One that is ready, waiting for it to start; None where this is closed. Raises: as :meth:`read`."""
        until = time.monotonic() + _ANSWER_S
        with self._changed:
            while not self._closed:
                self._look()
                if self._idle:
                    return self._idle.pop()
                self._add()
                if not self._all or time.monotonic() > until:
                    raise UnavailableError(
                        "medical.no-reader",
                        "no process that reads reports starts",
                        hint="look at the node's memory and its log; with medical.readers = 0 the node reads by itself",
                    )
                self._changed.wait(_LOOK_S)
            return None

    def _add(self) -> None:
        """Start one more, where there may be one and none is starting."""
        if len(self._all) >= self._limit or not all(reader.ready for reader in self._all):
            return
        if time.monotonic() < self._not_before:
            return
        try:
            self._all.append(_Reader(self._command))
        except OSError as error:
            self._not_before = time.monotonic() + _IDLE_S
            logger.warning("reader.died", reason=f"at its start: {error.strerror}")

    def _look(self) -> None:
        """Take up who became ready, drop who died while starting."""
        for reader in [one for one in self._all if not one.ready]:
            if reader.is_ready():
                self._idle.append(reader)
            elif reader.dead:
                self._all.remove(reader)
                self._not_before = time.monotonic() + _IDLE_S
                reader.end()

    def _give_back(self, reader: _Reader) -> None:
        with self._changed:
            if reader in self._all:
                if reader.dead:
                    self._all.remove(reader)
                else:
                    self._idle.append(reader)
            self._changed.notify_all()
        if reader.dead or self._closed:
            reader.end()


class _Reader:
    """One process, from this side."""

    def __init__(self, command: tuple[str, ...]) -> None:
        # Nothing of the node's environment: a passphrase may stand there.
        environment = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "LC_ALL": "C.UTF-8"}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=environment,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._in, False)
        self._held = bytearray()
        self._digest = b""
        self.ready = False
        self.dead = False
        self.used = time.monotonic()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def is_ready(self) -> bool:
        """Whether it began to serve; does not wait."""
        try:
            self.ready = self.ready or self._next(0.0) is not None
        except _DiedError as error:
            logger.warning("reader.died", reason=f"at its start: {error}")
            self.dead = True
        return self.ready

    def read(self, sent: Sequence[bytes], institution: str, now_s: int, digest: bytes, file: bytes) -> Iterator[Draft]:
        """The drafts of reports, as they come. Raises: _DiedError."""
        rules = None if digest == self._digest else file
        # Whoever leaves in the middle leaves answers behind that nobody could tell from those of the next.
        self.dead = True
        ask = Ask(institution=institution, now_s=now_s, rules=rules, sent=tuple(sent))
        self._write(frame(msgspec.msgpack.encode(ask)))
        self._digest = digest
        for _ in sent:
            data = self._next(_ANSWER_S)
            if data is None:
                raise self._died("no answer in time")
            try:
                draft = decode_draft(data)
            except msgspec.MsgspecError as error:
                raise self._died("an answer that is none") from error
            yield draft
        self.used, self.dead = time.monotonic(), False

    def kill(self) -> None:
        """Stop the process, whatever it does. Its user notices."""
        self._process.kill()

    def end(self) -> None:
        """Stop the process and let go of it; by who uses it, or where nobody does."""
        self.dead = True
        self.kill()
        with contextlib.suppress(OSError):
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
        self._process.wait()

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            if not _wait(self._in, select.POLLOUT, _ANSWER_S):
                raise self._died("it takes nothing")
            try:
                rest = rest[os.write(self._in, rest[:_CHUNK]) :]
            except BlockingIOError:
                continue
            except OSError as error:
                raise self._died("it ended") from error

    def _next(self, timeout_s: float) -> bytes | None:
        """The next frame; None where none came in time."""
        while True:
            length = int.from_bytes(self._held[:4], "big")
            if length > _MAX_DRAFT:
                raise self._died("an answer that is too large")
            if len(self._held) >= 4 + length:
                data = bytes(self._held[4 : 4 + length])
                del self._held[: 4 + length]
                return data
            if not _wait(self._out, select.POLLIN, timeout_s):
                return None
            more = os.read(self._out, _CHUNK)
            if not more:
                raise self._died("it ended")
            self._held += more

    def _died(self, reason: str) -> _DiedError:
        self.dead = True
        return _DiedError(reason)


def _wait(descriptor: int, what: int, timeout_s: float) -> bool:
    waiting = select.poll()
    waiting.register(descriptor, what)
    return bool(waiting.poll(timeout_s * 1_000))
